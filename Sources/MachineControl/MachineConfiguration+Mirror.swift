/// A disk on two files at once (RAID 1), each with layers of its own beneath.
extension MachineConfiguration.Disk {
  /// What makes a disk one side of a pair.
  package struct Mirror: Equatable, Sendable {
    /// The pair's metadata file, opened for reading and writing.
    package var metadata: MachineConfiguration.DescriptorIndex
    /// How the metadata know the side that is the disk's own file and layers.
    package var own: Label
    /// Nil where one side alone is there.
    package var other: Side?

    package init(metadata: MachineConfiguration.DescriptorIndex, own: Label, other: Side? = nil) {
      self.metadata = metadata
      self.own = own
      self.other = other
    }
  }

  /// How a pair's metadata know a side.
  package struct Label: Equatable, Sendable {
    /// 0 or 1: which of the two it is.
    package var place: UInt8
    /// 128 bits that nobody else drew.
    package var high: UInt64
    package var low: UInt64
    /// For messages: at most 1,024 bytes.
    package var name: String

    package init(place: UInt8, high: UInt64, low: UInt64, name: String) {
      self.place = place
      self.high = high
      self.low = low
      self.name = name
    }
  }

  /// A side of a pair. Its file has the format of the disk.
  package struct Side: Equatable, Sendable {
    package var label: Label
    package var file: MachineConfiguration.DescriptorIndex
    /// From the nearest to the lowest.
    package var layers: [Layer]

    package init(_ label: Label, file: MachineConfiguration.DescriptorIndex, layers: [Layer]) {
      self.label = label
      self.file = file
      self.layers = layers
    }
  }
}

// MARK: - Validation

extension MachineConfiguration.Disk {
  /// The longest name of a side in bytes.
  private static let sideName = 1024

  /// The descriptors that are this disk's alone.
  func ownDescriptors(at index: Int) -> [(what: String, index: Int)] {
    var uses = [(what: "disk \(index)", index: file)]
    if let mirror {
      uses.append(("the metadata of disk \(index)", mirror.metadata))
      if let other = mirror.other { uses.append(("the other side of disk \(index)", other.file)) }
    }
    return uses
  }

  /// Those that other disks may use too.
  func layerDescriptors(at index: Int) -> [(what: String, index: Int)] {
    (layers + (mirror?.other?.layers ?? [])).map { ("a layer of disk \(index)", $0.file) }
  }

  func validateMirror(at index: Int) throws(ConfigurationError) {
    guard let mirror else { return }
    if readOnly || format == .overlay { throw .mirror(disk: index) }
    try Self.validate(mirror.own, at: index)
    guard let other = mirror.other else { return }
    try Self.validate(other, format, at: index)
    if other.label.place == mirror.own.place { throw .mirror(disk: index) }
  }

  private static func validate(_ label: Label, at index: Int) throws(ConfigurationError) {
    if label.place > 1 || label.name.isEmpty || label.name.utf8.count > sideName {
      throw .mirror(disk: index)
    }
  }

  static func validate(_ side: Side, _ format: Format, at index: Int) throws(ConfigurationError) {
    try validate(side.label, at: index)
    try validateLayers(side.layers, of: format, at: index)
  }
}

extension MachineConfiguration.Disk.Side {
  /// Throws the first thing that is wrong with a side that comes by itself. `count` descriptors are handed over with it.
  package func validate(descriptorCount count: Int) throws(ConfigurationError) {
    try MachineConfiguration.Disk.validate(self, layers.isEmpty ? .raw : .qcow2, at: 0)
    for index in [file] + layers.map(\.file) where index < 0 || index >= count {
      throw .noSuchDescriptor(what: "a side", index: index, count: count)
    }
    if layers.contains(where: { $0.file == file }) {
      throw .descriptorUsedTwice(what: "a side", index: file)
    }
  }
}

// MARK: - Wire

extension MachineConfiguration.Disk.Label {
  func write(to writer: inout WireWriter) {
    writer.integer(place)
    writer.integer(high)
    writer.integer(low)
    writer.string(name)
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      place: try reader.integer(), high: try reader.integer(), low: try reader.integer(),
      name: try reader.string("name of a side"))
  }
}

extension MachineConfiguration.Disk.Layer {
  func write(to writer: inout WireWriter) {
    writer.index(file)
    writer.integer(format.rawValue)
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(try reader.index(), try reader.choice("layer format"))
  }
}

extension MachineConfiguration.Disk.Side {
  func write(to writer: inout WireWriter) {
    label.write(to: &writer)
    writer.index(file)
    writer.list(layers) { $1.write(to: &$0) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      try .init(from: &reader), file: try reader.index(),
      layers: try reader.list("disk layers") { (reader) throws(WireError) in try .init(from: &reader) })
  }
}

extension MachineConfiguration.Disk.Mirror {
  func write(to writer: inout WireWriter) {
    writer.index(metadata)
    own.write(to: &writer)
    writer.optional(other) { $1.write(to: &$0) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      metadata: try reader.index(), own: try .init(from: &reader),
      other: try reader.optional("other side") { (reader) throws(WireError) in try .init(from: &reader) })
  }
}
