extension MachineConfiguration {
  /// What a machine may have at most.
  package enum Limits {
    /// Bytes.
    package static let name = 64
    /// Bytes.
    package static let memory: ClosedRange<UInt64> = (64 << 20)...(1 << 40)
    package static let initrds = 8
    package static let disks = 4
    /// Files of a guest's memory, one over the other; they fit in one message.
    package static let memoryLayers = 12
    /// Files beneath a disk's own.
    package static let layers = 24
    package static let consolePorts = 8
    /// Virtio devices that are in no place of a bus.
    package static let virtioSlots = 8
    /// Bytes (VIRTIO_BLK_ID_BYTES).
    package static let diskSerial = 20
    /// Bytes (NBD_MAX_STRING).
    package static let exportName = 4096
    /// Bytes.
    package static let portName = 64
    /// Bytes.
    package static let entropySeed = 64
    /// Descriptors handed over with a configuration.
    package static let descriptors = 288
  }

  /// Throws the first thing that is wrong. `descriptorCount` descriptors are handed over with the
  /// configuration.
  package func validate(descriptorCount: Int) throws(ConfigurationError) {
    if name.isEmpty { throw .emptyName }
    if name.utf8.count > Limits.name { throw .nameTooLong }
    if !architecture.cpuLimits.contains(cpus) {
      throw .cpuCount(cpus, most: architecture.cpuLimits.upperBound)
    }
    if !Limits.memory.contains(memory) || memory % (1 << 20) != 0 { throw .memorySize(memory) }
    if !architecture.engines.contains(engine) {
      throw .engineCannotRun(engine: engine, architecture: architecture)
    }
    if (kvm != nil) != (architecture == .amd64) {
      throw .device(isNeeded: kvm == nil, architecture: architecture)
    }
    if entropySeed.count > Limits.entropySeed { throw .entropySeedTooLong(entropySeed.count) }
    try validateBoot()
    for (index, disk) in disks.enumerated() { try disk.validate(at: index) }
    if disks.count > Limits.disks { throw .tooMany("disks", most: Limits.disks) }
    if let network {
      let isSingleStation = network.mac.count == 6 && network.mac[0] & 1 == 0
      if !isSingleStation || network.mac.allSatisfy({ $0 == 0 }) { throw .hardwareAddress }
      if network.vhost != nil, !network.isTAP || architecture != .amd64 { throw .vhostWithoutUse }
    }
    try validatePorts()
    if let sockets, sockets.guestCID < 3 || sockets.guestCID == .max {
      throw .guestAddress(sockets.guestCID)
    }
    if virtioBus == .mmio, virtioDevices > Limits.virtioSlots {
      throw .tooMany("virtio devices without a bus", most: Limits.virtioSlots)
    }
    if let files = restoration?.memory.count, !(1...Limits.memoryLayers).contains(files) {
      throw .memoryLayers(files, most: Limits.memoryLayers)
    }
    try validateDescriptors(count: descriptorCount)
  }

  /// How many there are, with the source of entropy and the balloon that every machine has.
  private var virtioDevices: Int {
    disks.count + (network == nil ? 0 : 1) + (consolePorts.isEmpty ? 0 : 1) + (sockets == nil ? 0 : 1) + 2
  }

  private func validateBoot() throws(ConfigurationError) {
    guard let kernel = boot.kernel else {
      if architecture != .amd64 { throw .firmware(architecture: architecture) }
      return
    }
    let bytes = kernel.append.utf8.count
    if bytes > architecture.appendLimit {
      throw .appendTooLong(bytes: bytes, most: architecture.appendLimit)
    }
    if kernel.append.utf8.contains(0) { throw .appendHoldsNull }
    if kernel.initrd.count > Limits.initrds { throw .tooMany("initrd files", most: Limits.initrds) }
  }

  private func validatePorts() throws(ConfigurationError) {
    if consolePorts.count > Limits.consolePorts { throw .tooMany("console ports", most: Limits.consolePorts) }
    var names: Set<String> = []
    for (index, port) in consolePorts.enumerated() {
      let isPrintable = port.name.utf8.allSatisfy { (0x21...0x7e).contains($0) }
      if port.name.isEmpty || port.name.utf8.count > Limits.portName || !isPrintable {
        throw .portName(index)
      }
      if !names.insert(port.name).inserted { throw .portNameTwice(port.name) }
    }
  }

  /// Every index leads to a descriptor, and to one of its own; only a layer may serve several disks.
  private func validateDescriptors(count: Int) throws(ConfigurationError) {
    if count > Limits.descriptors { throw .tooMany("descriptors", most: Limits.descriptors) }
    var uses: [(what: String, index: DescriptorIndex)] = []
    switch boot {
    case .kernel(let kernel):
      uses.append(("the kernel", kernel.file))
      uses += kernel.initrd.map { ("the initrd", $0) }
    case .firmware(let firmware):
      uses += [("the firmware", firmware.code), ("the firmware's variables", firmware.variables)]
    }
    uses += disks.enumerated().flatMap { $0.element.ownDescriptors(at: $0.offset) }
    uses += consolePorts.enumerated().map { ("console port \($0.offset)", $0.element.stream) }
    if let network { uses.append(("the network", network.frames)) }
    if let vhost = network?.vhost { uses.append(("/dev/vhost-net", vhost)) }
    if let serial { uses.append(("the serial line", serial)) }
    if let profile { uses.append(("the profile", profile)) }
    if let perfMap { uses.append(("the perf map", perfMap)) }
    if let kvm { uses.append(("/dev/kvm", kvm)) }
    if let sockets { uses.append(("the broker of sockets", sockets.broker)) }
    if let record { uses.append(("the record", record)) }
    if let consoleLog { uses.append(("the console log", consoleLog)) }
    if let restoration {
      uses.append(("the state", restoration.state))
      uses += restoration.memory.map { ("the memory", $0) }
    }
    try Self.validate(uses, of: disks, count: count)
  }

  /// Every index of `uses` and of the layers beneath `disks` leads to one of `count` descriptors, and those of `uses`
  /// each to one of its own.
  static func validate(
    _ uses: [(what: String, index: DescriptorIndex)], of disks: [Disk], count: Int
  ) throws(ConfigurationError) {
    let layers = disks.enumerated().flatMap { $0.element.layerDescriptors(at: $0.offset) }
    for (what, index) in uses + layers where index < 0 || index >= count {
      throw .noSuchDescriptor(what: what, index: index, count: count)
    }
    var taken = Set(layers.map(\.index))
    for (what, index) in uses where !taken.insert(index).inserted {
      throw .descriptorUsedTwice(what: what, index: index)
    }
  }
}

extension MachineConfiguration.Disk {
  func validate(at index: Int) throws(ConfigurationError) {
    // A server says by itself how large its disk is.
    if size == 0 && server == nil || size % 512 != 0 || size > UInt64(Int64.max) {
      throw .diskSize(disk: index, bytes: size)
    }
    if let server {
      if !layers.isEmpty || format == .overlay || mirror != nil { throw .serverDiskWithLayers(disk: index) }
      if server.export.utf8.count > MachineConfiguration.Limits.exportName || server.export.utf8.contains(0) {
        throw .exportName(disk: index)
      }
    }
    try Self.validateLayers(layers, of: format, at: index)
    if format == .overlay, readOnly { throw .readOnlyOverlay(disk: index) }
    try validateMirror(at: index)
    let isASCII = serial.utf8.allSatisfy { (0x20...0x7e).contains($0) }
    if serial.isEmpty || serial.utf8.count > MachineConfiguration.Limits.diskSerial || !isASCII {
      throw .diskSerial(disk: index)
    }
  }

  static func validateLayers(
    _ layers: [Layer], of format: Format, at index: Int
  ) throws(ConfigurationError) {
    switch format {
    case .raw: if !layers.isEmpty { throw .rawDiskWithLayers(disk: index) }
    case .overlay:
      if layers.count != 1 || layers[0].format != .raw { throw .overlayWithoutBase(disk: index) }
    case .qcow2:
      if layers.count > MachineConfiguration.Limits.layers {
        throw .tooMany("layers beneath a disk", most: MachineConfiguration.Limits.layers)
      }
      for (number, layer) in layers.enumerated()
      where layer.format == .overlay || layer.format == .raw && number < layers.count - 1 {
        throw .layerFormat(disk: index, layer: number)
      }
    }
  }
}
