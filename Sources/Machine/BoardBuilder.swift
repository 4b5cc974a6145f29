internal import Devices
internal import GuestMemory
internal import HostSystem
internal import KVM
internal import MachineControl
internal import RISCV
internal import Translator

/// Builds the board that a configuration describes, with its engine and its devices. In two steps, because
/// executable memory can be had only before the sandbox closes, and threads only after.
struct BoardBuilder {
  /// What was built.
  struct Product {
    let board: any MachineBoard
    let devices: ConfiguredDevices
    /// Nil unless one was asked for.
    let profile: MachineProfile?
  }

  private let configuration: MachineConfiguration
  private let descriptors: [Descriptor]
  private let send: @Sendable (ControlEvent) -> Void
  /// Where translated code goes; nil for other engines.
  private let code: CodeStore?
  /// What executes guest instructions.
  let engine: MachineConfiguration.Engine

  /// Takes what has to be taken before the sandbox closes. `send` tells the machine's owner.
  init(
    _ configuration: MachineConfiguration, _ descriptors: [Descriptor],
    send: @escaping @Sendable (ControlEvent) -> Void
  ) throws(ControlFailure) {
    self.configuration = configuration
    self.descriptors = descriptors
    self.send = send
    engine = configuration.engine == .auto ? configuration.architecture.usualEngine : configuration.engine
    code =
      engine == .translator
      ? try ControlFailure.host("making room for translated code") { () throws(Errno) in
        try Self.makeCodeStore(configuration, descriptors)
      } : nil
  }

  private static func makeCodeStore(
    _ configuration: MachineConfiguration, _ descriptors: [Descriptor]
  ) throws(Errno) -> CodeStore {
    var options = CodeStore.Options()
    options.coldRuns = 24
    options.arenaSize = 256 << 20
    options.hasOneCPU = configuration.cpus == 1
    if configuration.profile != nil || configuration.perfMap != nil {
      options.profile = TranslationProfile(
        arenaSize: options.arenaSize, countsExecutions: configuration.profile != nil,
        perfMap: configuration.perfMap.map { PerfMap(descriptors[$0]) },
        name: { Lifter.name(ofBlockAt: $0, key: $1) })
    }
    return try CodeStore(architecture: Lifter.architecture, options: options)
  }

  /// What is asked of devices by ioctl(2), which the sandbox has to let through.
  var deviceRequests: [UInt32] {
    var requests = engine == .kvm ? KVMSystem.requestNumbers : []
    if let network = configuration.network, network.isTAP {
      requests += TapDevice.requestNumbers
      if network.vhost != nil { requests += VHostNet.requestNumbers }
    }
    return requests
  }

  /// Builds the board.
  func build(_ connections: BoardConnections, link: VirtualMachine.PowerLink) throws(ControlFailure)
    -> Product
  {
    var storages: [DiskStorage] = []
    for disk in configuration.disks {
      let send = send
      let server = disk.server.map { _ in DiskServer(disk.serial, send) }
      let opened = try DiskStorage.open(disk, descriptors, server) { send(.mirrorChanged($0)) }
      storages.append(DiskStorage(serial: disk.serial, opened, server: server))
    }
    switch configuration.architecture {
    case .riscv64: return try buildVirt(connections, link, storages)
    case .amd64: return try buildPC(connections, link, storages)
    }
  }

  private func devices(
    _ storages: [DiskStorage], _ memory: GuestMemory, _ link: VirtualMachine.PowerLink
  ) throws(Errno) -> ConfiguredDevices {
    try ConfiguredDevices(
      configuration, descriptors, storages: storages, memory: memory, link: link, send: send)
  }

  private func buildVirt(
    _ connections: BoardConnections, _ link: VirtualMachine.PowerLink, _ storages: [DiskStorage]
  ) throws(ControlFailure) -> Product {
    let (board, devices) = try ControlFailure.host("building the machine's board") { () throws(Errno) in
      var made: ConfiguredDevices?
      let board = try VirtBoard(
        memorySize: configuration.memory, cpus: configuration.cpus, code: code, connections: connections,
        virtioBus: configuration.virtioBus
      ) { (memory) throws(Errno) in
        let devices = try self.devices(storages, memory, link)
        made = devices
        return devices.all
      }
      guard let made else { preconditionFailure("a board has its devices made") }
      return (board, made)
    }
    board.cluster.delegate = link
    guard let code, let profile = code.profile else {
      return Product(board: board, devices: devices, profile: nil)
    }
    let counting = MachineProfile(
      code: code, profile: profile, board: board, report: configuration.profile.map { descriptors[$0] })
    try ControlFailure.host("making room for the profile") { () throws(Errno) in try counting.start() }
    return Product(board: board, devices: devices, profile: counting)
  }

  private func buildPC(
    _ connections: BoardConnections, _ link: VirtualMachine.PowerLink, _ storages: [DiskStorage]
  ) throws(ControlFailure) -> Product {
    guard let device = configuration.kvm else {
      throw ControlFailure(
        .invalidConfiguration, phase: "looking for the engine",
        message: "/dev/kvm was not handed over, and amd64 guests have no other engine")
    }
    var firmware: PCFirmware?
    if let files = configuration.boot.firmware {
      do throws(BootError) {
        firmware = try PCFirmware(
          code: descriptors[files.code], variables: descriptors[files.variables],
          keepsVariables: files.keepsVariables, warn: { [send] in send(.warning(line: $0)) })
      } catch {
        throw ControlFailure(.invalidConfiguration, phase: "loading the firmware", message: error.description)
      }
    }
    let lowEnd = firmware == nil ? PCMap.lowMemoryEnd : PCMap.UEFI.lowMemoryEnd
    let memory = try ControlFailure.host("mapping the guest's memory") { () throws(Errno) in
      try GuestMemory(
        regions: PCMap.ram(size: configuration.memory, lowEnd: lowEnd).regions, copying: .byKernel)
    }
    memory.preferLargePages()
    let machine = try ControlFailure.host("making a virtual machine with KVM") { () throws(KVMError) in
      try KVMMachine(
        system: KVMSystem(device: descriptors[device]), memory: memory, cpus: configuration.cpus,
        interruptChip: .split(inputs: IOAPIC.inputCount))
    }
    let devices = try ControlFailure.host("making the machine's devices") { () throws(Errno) in
      try self.devices(storages, memory, link)
    }
    let board = try ControlFailure.host("building the machine's board") { () throws(Errno) in
      try PCBoard(
        machine, connections: connections, firmware: firmware, virtioDevices: devices.all,
        dirtyPageSources: devices.kernelNetwork.map { [$0] } ?? [])
    }
    try ControlFailure.host("showing the guest its firmware") { () throws(KVMError) in
      try board.showFirmware()
    }
    return Product(board: board, devices: devices, profile: nil)
  }
}
