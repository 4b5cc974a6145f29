internal import Devices
internal import DiskImages
internal import Glibc
internal import GuestMemory
package import HostSystem
package import MachineControl
internal import RISCV
internal import Synchronization
internal import Translator

/// The machine's process behind its control socket: builds the machine that it is told of, closes the
/// sandbox around itself, and does what it is asked.
package final class MachineController: MachineControlHandler, @unchecked Sendable {
  // Built by the control thread before the machine runs; its thread then only reads what it needs to end.
  /// How the process closes itself in, once everything from outside is in hand; nil for tests.
  private let closeSandbox: (() throws(ControlFailure) -> Void)?
  private let send: @Sendable (ControlEvent) -> Void
  /// Called on the machine's thread when the machine has ended and the controller has been told.
  private let onEnd: @Sendable () -> Void

  private var machine: VirtualMachine?
  private var console: VirtioConsole?
  private var balloon: VirtioBalloon?
  private var code: CodeStore?
  private var serial: SerialStream?
  /// Where the profile is written when the machine ends.
  private var report: Descriptor?
  private var engine = MachineConfiguration.Engine.auto
  private let ended = Mutex(false)
  private var hasStarted = false
  private let resident = try? ResidentMemory()

  package init(
    closeSandbox: (() throws(ControlFailure) -> Void)?, send: @escaping @Sendable (ControlEvent) -> Void,
    onEnd: @escaping @Sendable () -> Void
  ) {
    self.closeSandbox = closeSandbox
    self.send = send
    self.onEnd = onEnd
  }

  // MARK: - Building

  package func configure(
    _ configuration: MachineConfiguration, descriptors: [Descriptor]
  ) throws(ControlFailure) {
    guard machine == nil else {
      throw ControlFailure(.wrongState, phase: "configuring", message: "the machine is configured already")
    }
    engine = configuration.engine == .interpreter ? .interpreter : .translator
    // Executable memory can be had only before the sandbox closes, threads only after.
    if engine == .translator {
      code = try host("making room for translated code") { () throws(Errno) in
        var options = CodeStore.Options()
        options.coldRuns = 24
        options.arenaSize = 256 << 20
        options.hasOneCPU = configuration.cpus == 1
        options.profile = Self.profile(configuration, descriptors, arenaSize: options.arenaSize)
        return try CodeStore(architecture: Lifter.architecture, options: options)
      }
    }
    try closeSandbox?()
    // What the guest does wrong goes to the log; of what the host does the person is told.
    let log = WarningLimiter { Self.log($0) }
    let note: @Sendable (String) -> Void = { log.report($0) }
    if let index = configuration.serial {
      serial = try host("opening the serial port") { () throws(Errno) in
        try SerialStream(socket: descriptors[index])
      }
    }
    let serial = serial
    let link = VirtualMachine.PowerLink(serial: { serial?.send($0) }, log: note)
    var connections = VirtBoard.Connections()
    connections.serialOutput = { serial?.send($0) }
    connections.serialHasRoom = { serial?.hasRoom() }
    connections.power = { link.powerRequested($0) }
    connections.report = note

    let storages = try openDisks(configuration, descriptors)
    var console: VirtioConsole?
    var balloon: VirtioBalloon?
    let board = try host("building the machine's board") { () throws(Errno) in
      try VirtBoard(
        memorySize: configuration.memory, cpus: configuration.cpus, code: code, connections: connections,
        virtioBus: configuration.virtioBus
      ) { (memory) throws(Errno) in
        var devices: [any VirtioDevice] = []
        for (disk, storage) in zip(configuration.disks, storages) {
          let failures = FailureLimiter()
          let tell: @Sendable (VirtioBlock.Failure) -> Void = { [send] in
            guard failures.passes($0.errno) else { return }
            send(
              .diskFailed(
                disk: disk.serial, operation: $0.operation.rawValue, errorNumber: $0.errno.code))
          }
          devices.append(
            try VirtioBlock(
              name: "disk \(disk.serial)", storage: storage, serial: disk.serial, onFailure: tell))
        }
        if let network = configuration.network {
          devices.append(try VirtioNet(port: descriptors[network.frames], mac: network.mac))
        }
        if !configuration.consolePorts.isEmpty {
          let made = try VirtioConsole(
            ports: configuration.consolePorts.map {
              VirtioConsole.Port(name: $0.name, socket: descriptors[$0.stream])
            })
          console = made
          devices.append(made)
        }
        devices.append(try VirtioEntropy())
        let made = try VirtioBalloon(memory: memory)
        balloon = made
        devices.append(made)
        return devices
      }
    }
    self.console = console
    self.balloon = balloon
    if let profile = code?.profile {
      report = configuration.profile.map { descriptors[$0] }
      try host("making room for the profile") { () throws(Errno) in
        for hart in board.cluster.harts { try hart.startProfile(profile) }
      }
    }
    if let serial {
      try host("starting the serial port") { () throws(Errno) in try serial.connect(to: board.serial) }
    }
    let boot = configuration.boot
    let machine = try host("making the machine") { () throws(Errno) in
      try VirtualMachine(
        board: board, link: link, restarts: configuration.resetAction == .restart,
        load: { (board) throws(BootError) in
          try Self.load(boot, seed: configuration.entropySeed, descriptors, into: board)
        },
        onEvent: { [weak self] in self?.handle($0) })
    }
    do throws(BootError) { try machine.prepare() } catch {
      throw ControlFailure(.invalidConfiguration, phase: "loading the guest", message: error.description)
    }
    self.machine = machine
  }

  /// What keeps the profile that was asked for; nil when none was.
  private static func profile(
    _ configuration: MachineConfiguration, _ descriptors: [Descriptor], arenaSize: Int
  ) -> TranslationProfile? {
    guard configuration.profile != nil || configuration.perfMap != nil else { return nil }
    return TranslationProfile(
      arenaSize: arenaSize, countsExecutions: configuration.profile != nil,
      perfMap: configuration.perfMap.map { PerfMap(descriptors[$0]) },
      name: { Lifter.name(ofBlockAt: $0, key: $1) })
  }

  /// A line on the process's own standard error.
  private static func log(_ line: String) {
    let text = Array("volary-machine: \(line)\n".utf8)
    _ = text.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  }

  /// Does something that the host can refuse.
  private func host<Result>(
    _ phase: String, _ body: () throws(Errno) -> Result
  ) throws(ControlFailure) -> Result {
    do throws(Errno) { return try body() } catch {
      throw ControlFailure(.hostRefused, phase: phase, message: error.description)
    }
  }

  private func openDisks(
    _ configuration: MachineConfiguration, _ descriptors: [Descriptor]
  ) throws(ControlFailure) -> [any BlockStorage] {
    var storages: [any BlockStorage] = []
    for disk in configuration.disks {
      do throws(DiskImageError) {
        storages.append(DiskStorage(try Self.open(disk, descriptors)))
      } catch {
        var code = ControlFailure.Code.invalidConfiguration
        if case .system = error { code = .hostRefused }
        throw ControlFailure(code, phase: "opening disk \(disk.serial)", message: error.description)
      }
    }
    return storages
  }

  private static func open(
    _ disk: MachineConfiguration.Disk, _ descriptors: [Descriptor]
  ) throws(DiskImageError) -> any DiskImage {
    var base: (any DiskImage)?
    if let index = disk.base {
      base = try DiskImages.open(
        format: .raw, descriptor: descriptors[index], name: "the base of disk \(disk.serial)", readOnly: true)
    }
    let file = descriptors[disk.file]
    let name = "disk \(disk.serial)"
    switch disk.format {
    case .raw:
      return try DiskImages.open(format: .raw, descriptor: file, name: name, readOnly: disk.readOnly)
    case .overlay:
      if disk.ephemeral, let base {
        return try DiskImages.ephemeralOverlay(descriptor: file, name: name, base: base, size: disk.size)
      }
      let isFresh: Bool
      do throws(Errno) { isFresh = try file.size() == 0 } catch {
        throw .system(name: name, operation: "look at", error)
      }
      if isFresh {
        try DiskImages.createOverlay(descriptor: file, name: name, base: base, size: disk.size)
      }
      return try DiskImages.open(
        format: .overlay, descriptor: file, name: name, readOnly: disk.readOnly, base: base)
    }
  }

  private static func load(
    _ boot: MachineConfiguration.Boot, seed: [UInt8], _ descriptors: [Descriptor], into board: VirtBoard
  ) throws(BootError) -> LinuxLoader.Layout {
    let layout = try LinuxLoader.load(
      kernel: descriptors[boot.kernel], initrd: boot.initrd.map { descriptors[$0] }, memory: board.memory,
      base: VirtMap.memory)
    let tree = board.deviceTree(layout, commandLine: boot.append, entropySeed: seed).blob()
    guard UInt64(tree.count) <= LinuxLoader.deviceTreeRoom,
      let slice = try? board.memory.slice(at: layout.deviceTree, count: tree.count)
    else { throw .kernelDoesNotFit(needed: UInt64(tree.count), memory: UInt64(board.memory.size)) }
    tree.withUnsafeBytes { slice.copy(from: $0) }
    return layout
  }

  // MARK: - Requests

  private func built() throws(ControlFailure) -> VirtualMachine {
    guard let machine else {
      throw ControlFailure(.wrongState, phase: "looking for the machine", message: "it is not configured yet")
    }
    return machine
  }

  package func start() throws(ControlFailure) {
    let machine = try built()
    guard !hasStarted else {
      throw ControlFailure(.wrongState, phase: "starting", message: "the machine has been started already")
    }
    hasStarted = true
    send(.started)
    try host("starting the machine's threads") { () throws(Errno) in try machine.start() }
  }

  package func stop() throws(ControlFailure) {
    throw ControlFailure(
      .unsupported, phase: "asking the guest to end",
      message: "the virt board has no power button: end it from within, or kill it")
  }

  package func kill() throws(ControlFailure) {
    guard hasStarted else { return onEnd() }
    try built().end()
  }

  package func pause() throws(ControlFailure) { try built().pause() }
  package func resume() throws(ControlFailure) { try built().resume() }
  package func reset() throws(ControlFailure) { try built().reset() }

  package func resizeConsole(columns: UInt16, rows: UInt16) throws(ControlFailure) {
    console?.resize(columns: columns, rows: rows)
  }

  package func setBalloon(target: UInt64) throws(ControlFailure) {
    let memory = UInt64(try built().board.memory.size)
    let pages = target >= memory ? 0 : (memory - target) / UInt64(GuestMemory.pageSize)
    balloon?.setTarget(pages: UInt32(clamping: pages))
  }

  package func status() throws(ControlFailure) -> MachineStatus {
    guard let machine else { return MachineStatus() }
    let hasEnded = ended.withLock { $0 }
    return MachineStatus(
      state: hasEnded ? .ended : !hasStarted ? .configured : machine.isRunning ? .running : .paused,
      engine: engine, runningTime: machine.runningTime,
      instructions: machine.board.cluster.harts.map(\.instructionsRetired),
      exits: machine.board.cluster.harts.reduce(0) { $0 + $1.exits },
      residentMemory: resident?.bytes ?? 0,
      balloon: UInt64(balloon?.actualPages ?? 0) * UInt64(GuestMemory.pageSize))
  }

  private func handle(_ event: VirtualMachine.Event) {
    switch event {
    case .reset: send(.guestReset)
    case .poweredOff(let code):
      end(with: .guestPoweredOff(code: code.map(Int32.init)))
    case .failed(let phase, let message): end(with: .failed(phase: phase, message: message))
    }
  }

  private func end(with event: ControlEvent) {
    serial?.stop()
    writeProfile()
    ended.withLock { $0 = true }
    send(event)
    onEnd()
  }
  /// Writes what was asked to be known of the machine that has ended.
  private func writeProfile() {
    guard let code, let profile = code.profile, let machine else { return }
    profile.flush()
    guard let report else { return }
    var text = ProfileReport.text(
      code: code, profile: profile, harts: machine.board.cluster.harts, runningTime: machine.runningTime)
    let failure = text.withUTF8 { bytes -> Errno? in
      do throws(Errno) { try report.writeAll(UnsafeRawBufferPointer(bytes)) } catch { return error }
      return nil
    }
    if let failure { send(.warning(line: "the profile could not be written: \(failure)")) }
  }
}
