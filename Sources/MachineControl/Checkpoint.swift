/// What is to be kept of a machine at one moment, at which its CPUs and its devices rest and its disks are flushed.
///
/// Files are named by their place in the list of descriptors that is handed over with the request. When the request
/// is refused, the machine is as it was, and goes on if it ran.
package struct Checkpoint: Equatable, Sendable {
  /// What the machine does when everything is kept.
  package enum Sequel: UInt8, Sendable, CaseIterable {
    /// It goes on if it ran.
    case resume = 0
    /// It stays paused, and its memory as it is; made for a machine that is ended next.
    case stay = 1
  }

  /// Disks that go on in another file: each is named by its serial number, and shows from then on what is given
  /// here. What its file was before is never written again, and usually its nearest layer.
  package var disks: [MachineConfiguration.Disk]
  /// A file, opened for reading and writing, for the state of CPUs and devices (``MachineState``'s format); with it,
  /// the guest's memory is kept too.
  package var state: MachineConfiguration.DescriptorIndex?
  /// An empty regular file, opened for reading and writing, into which the guest's memory is written while the guest
  /// goes on; pages of zeroes are holes. ``ControlEvent/memoryKept(failure:)`` says when that is done. Wants ``state``.
  package var memory: MachineConfiguration.DescriptorIndex?
  /// Whether the reply brings the guest's memory itself, as files to be shared copy-on-write by other machines. Wants
  /// ``state``.
  package var sharesMemory: Bool
  package var sequel: Sequel

  package init(
    disks: [MachineConfiguration.Disk] = [], state: MachineConfiguration.DescriptorIndex? = nil,
    memory: MachineConfiguration.DescriptorIndex? = nil,
    sharesMemory: Bool = false, sequel: Sequel = .resume
  ) {
    self.disks = disks
    self.state = state
    self.memory = memory
    self.sharesMemory = sharesMemory
    self.sequel = sequel
  }

  /// Throws the first thing that is wrong. `descriptorCount` descriptors are handed over with it.
  package func validate(descriptorCount count: Int) throws(ConfigurationError) {
    for (index, disk) in disks.enumerated() { try disk.validate(at: index) }
    if disks.count > MachineConfiguration.Limits.disks {
      throw .tooMany("disks", most: MachineConfiguration.Limits.disks)
    }
    if state == nil, memory != nil || sharesMemory { throw .memoryWithoutState }
    var uses = disks.enumerated().flatMap { $0.element.ownDescriptors(at: $0.offset) }
    if let state { uses.append(("the state", state)) }
    if let memory { uses.append(("the memory", memory)) }
    try MachineConfiguration.validate(uses, of: disks, count: count)
  }
}

extension Checkpoint {
  func write(to writer: inout WireWriter) {
    writer.list(disks) { $1.write(to: &$0) }
    writer.optional(state) { $0.index($1) }
    writer.optional(memory) { $0.index($1) }
    writer.flag(sharesMemory)
    writer.integer(sequel.rawValue)
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      disks: try reader.list("disks") { (reader) throws(WireError) in try .init(from: &reader) },
      state: try reader.optional("state") { (reader) throws(WireError) in try reader.index() },
      memory: try reader.optional("memory") { (reader) throws(WireError) in try reader.index() },
      sharesMemory: try reader.flag("shares memory"),
      sequel: try reader.choice("sequel"))
  }
}
