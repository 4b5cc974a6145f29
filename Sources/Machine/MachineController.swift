internal import Devices
internal import Glibc
internal import GuestMemory
package import HostSystem
package import MachineControl
internal import Synchronization

/// The machine's process behind its control socket: builds the machine that it is told of, closes the
/// sandbox around itself, and does what it is asked.
package final class MachineController: MachineControlHandler, @unchecked Sendable {
  // Built by the control thread before the machine runs; its thread then only reads what it needs to end.
  /// How the process closes itself in, once everything from outside is in hand; nil for tests. It is told which
  /// requests of ioctl(2) the engine makes.
  private let closeSandbox: (([UInt32]) throws(ControlFailure) -> Void)?
  let send: @Sendable (ControlEvent) -> Void
  /// Called on the machine's thread when the machine has ended and the controller has been told.
  private let onEnd: @Sendable () -> Void

  private var machine: VirtualMachine?
  private var devices: ConfiguredDevices?
  let memoryKeeper = MemoryKeeper()
  private var serial: SerialConsole?
  private var portNames: [String] = []
  private var restarts = true
  private let lastWord = Mutex(LastWord())
  private var profile: MachineProfile?
  private var engine = MachineConfiguration.Engine.auto
  private let guestResets = Atomic<UInt64>(0)
  private var hasStarted = false
  private let resident = try? ResidentMemory()

  /// How the machine ended, and where that is written.
  private struct LastWord {
    var record: Descriptor?
    var hasEnded = false
  }

  package init(
    closeSandbox: (([UInt32]) throws(ControlFailure) -> Void)?,
    send: @escaping @Sendable (ControlEvent) -> Void, onEnd: @escaping @Sendable () -> Void
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
    if let index = configuration.record {
      try ControlFailure.host("emptying the record") { () throws(Errno) in
        try EndRecord.clear(descriptors[index])
      }
      lastWord.withLock { $0.record = descriptors[index] }
    }
    portNames = configuration.consolePorts.map(\.name)
    restarts = configuration.resetAction == .restart
    let builder = try BoardBuilder(configuration, descriptors, send: send)
    engine = builder.engine
    try closeSandbox?(builder.deviceRequests)
    // What the guest does wrong goes to the log; of what the host does the person is told.
    let log = WarningLimiter { Self.log($0) }
    let note: @Sendable (String) -> Void = { log.report($0) }
    let serial = try ControlFailure.host("opening the serial port") { () throws(Errno) in
      let log = try configuration.consoleLog.map { (index) throws(Errno) in
        try ConsoleRingWriter(descriptors[index])
      }
      return try SerialConsole(stream: configuration.serial.map { descriptors[$0] }, log: log)
    }
    self.serial = serial
    let link = VirtualMachine.PowerLink(serial: { serial.send($0) }, log: note)
    var connections = BoardConnections()
    connections.serialOutput = { serial.send($0) }
    connections.serialHasRoom = { serial.hasRoom() }
    connections.power = { link.powerRequested($0) }
    connections.crashed = { link.guestCrashed() }
    connections.failed = { link.cpuFailed($0) }
    connections.report = note

    let product = try builder.build(connections, link: link)
    devices = product.devices
    profile = product.profile
    try ControlFailure.host("starting the serial port") { () throws(Errno) in
      try serial.connect(to: product.board.serial)
    }
    let guest = configuration.boot.kernel.map { kernel in
      LinuxGuest(
        kernel: descriptors[kernel.file], initrd: kernel.initrd.map { descriptors[$0] },
        commandLine: kernel.append, entropySeed: configuration.entropySeed)
    }
    let machine = try ControlFailure.host("making the machine") { () throws(Errno) in
      try VirtualMachine(
        board: product.board, guest: guest, link: link, restarts: restarts,
        onEvent: { [weak self] in self?.handle($0) })
    }
    if let restoration = configuration.restoration {
      try restore(machine, from: restoration, descriptors)
    } else {
      do throws(BootError) { try machine.prepare() } catch {
        throw ControlFailure(.invalidConfiguration, phase: "loading the guest", message: error.description)
      }
    }
    self.machine = machine
  }

  /// A line on the process's own standard error, unless that is a pipe which nobody reads.
  private static func log(_ line: String) {
    var entry = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
    guard poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLOUT) != 0 else { return }
    let text = Array("volary-machine: \(line)\n".utf8)
    _ = text.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  }

  // MARK: - Requests

  private func built() throws(ControlFailure) -> VirtualMachine {
    guard let machine else {
      throw ControlFailure(.wrongState, phase: "looking for the machine", message: "it is not configured yet")
    }
    return machine
  }

  func builtWithDevices() throws(ControlFailure) -> (VirtualMachine, ConfiguredDevices) {
    let machine = try built()
    guard hasStarted, let devices else {
      throw ControlFailure(.wrongState, phase: "keeping the machine", message: "it has not been started yet")
    }
    return (machine, devices)
  }

  package func start() throws(ControlFailure) {
    let machine = try built()
    guard !hasStarted else {
      throw ControlFailure(.wrongState, phase: "starting", message: "the machine has been started already")
    }
    hasStarted = true
    send(.started)
    try ControlFailure.host("starting the machine's threads") { () throws(Errno) in try machine.start() }
  }

  package func stop() throws(ControlFailure) {
    guard try built().board.pressPowerButton() else {
      throw ControlFailure(
        .unsupported, phase: "asking the guest to end",
        message: "the virt board has no power button: end it from within, or kill it")
    }
  }

  package func kill() throws(ControlFailure) {
    guard hasStarted else { return end(with: .guestPoweredOff(code: nil)) }
    devices?.console?.abandonOutput()
    try built().end()
  }

  package func pause() throws(ControlFailure) { try built().pause() }
  package func resume() throws(ControlFailure) { try built().resume() }
  package func reset() throws(ControlFailure) { try built().reset() }

  package func resizeConsole(columns: UInt16, rows: UInt16) throws(ControlFailure) {
    devices?.console?.resize(columns: columns, rows: rows)
  }

  package func setBalloon(target: UInt64) throws(ControlFailure) {
    let memory = UInt64(try built().board.memory.size)
    let pages = target >= memory ? 0 : (memory - target) / UInt64(GuestMemory.pageSize)
    devices?.balloon.setTarget(pages: UInt32(clamping: pages))
  }

  package func limitDisk(_ serial: String, _ rates: DiskRates) throws(ControlFailure) {
    guard devices?.limitDisk(serial, rates) == true else {
      throw ControlFailure(
        .wrongState, phase: "limiting a disk", message: "there is no disk \(serial)")
    }
  }

  package func resizeDisk(_ serial: String, to size: UInt64) throws(ControlFailure) {
    _ = try built()
    try devices?.resizeDisk(serial, to: size)
  }

  package func attach(
    _ side: MachineConfiguration.Disk.Side, to disk: String, descriptors: [Descriptor]
  ) throws(ControlFailure) {
    _ = try built()
    try devices?.attach(side, to: disk, descriptors)
  }

  package func attachConsole(_ stream: UnixSocket, backlog: UInt32) throws(ControlFailure) {
    _ = try built()
    let isAttached = try ControlFailure.host("attaching to the console") { () throws(Errno) in
      try serial?.attach(stream.descriptor, backlog: Int(backlog)) ?? false
    }
    guard isAttached else {
      throw ControlFailure(
        .wrongState, phase: "attaching to the console",
        message: "\(SerialConsole.mostAttached) are attached already, which is the most")
    }
  }

  package func attach(_ stream: UnixSocket, toPort name: String) throws(ControlFailure) {
    _ = try built()
    guard let console = devices?.console, let port = portNames.firstIndex(of: name) else {
      throw ControlFailure(
        .invalidConfiguration, phase: "attaching to a console port", message: "there is no port \(name)")
    }
    try ControlFailure.host("attaching to a console port") { () throws(Errno) in
      try console.attach(stream.descriptor, toPort: port)
    }
  }

  package func attach(_ connection: UnixSocket, toDisk serial: String) throws(ControlFailure) {
    _ = try built()
    guard devices?.attach(connection, toDisk: serial) == true else {
      throw ControlFailure(
        .wrongState, phase: "connecting a disk", message: "there is no disk \(serial) on a server")
    }
  }

  package func attachBroker(_ broker: UnixSocket) throws(ControlFailure) {
    _ = try built()
    guard let sockets = devices?.sockets else {
      throw ControlFailure(
        .unsupported, phase: "attaching a broker of sockets", message: "the machine has no socket device")
    }
    try ControlFailure.host("attaching a broker of sockets") { () throws(Errno) in
      try sockets.attach(broker: broker)
    }
  }

  package func status() throws(ControlFailure) -> MachineStatus {
    guard let machine else { return MachineStatus(processID: getpid()) }
    let hasEnded = lastWord.withLock { $0.hasEnded }
    let balloon = devices?.balloon
    let guestMemory = balloon?.statistics.map {
      MachineStatus.GuestMemory(
        free: $0.free, available: $0.available, total: $0.total, diskCaches: $0.diskCaches)
    }
    // For the next one who asks: a guest answers in its own time.
    balloon?.requestStatistics()
    return MachineStatus(
      state: hasEnded ? .ended : !hasStarted ? .configured : machine.isRunning ? .running : .paused,
      engine: engine, runningTime: machine.runningTime,
      instructions: machine.board.instructionsRetired, exits: machine.board.exits,
      // Windows map the guest's memory a second time, which its process would be seen to use twice.
      residentMemory: machine.board.memory.storedBytes + machine.board.codeBytes + (resident?.ownBytes ?? 0),
      balloon: UInt64(balloon?.actualPages ?? 0) * UInt64(GuestMemory.pageSize),
      processID: getpid(), guestResets: guestResets.load(ordering: .relaxed),
      disks: devices?.diskActivity ?? [], network: devices?.networkActivity,
      memory: UInt64(machine.board.memory.size),
      balloonTarget: UInt64(balloon?.targetPages ?? 0) * UInt64(GuestMemory.pageSize),
      reportedMemory: balloon?.reportedBytes ?? 0, guestMemory: guestMemory,
      mirrors: devices?.mirrors ?? [], lostDisks: devices?.lostDisks ?? [])
  }

  // MARK: - The end

  private func handle(_ event: VirtualMachine.Event) {
    switch event {
    case .reset:
      guestResets.wrappingAdd(1, ordering: .relaxed)
      if restarts { send(.guestReset) } else { end(with: .guestReset) }
    case .poweredOff(let code):
      end(with: .guestPoweredOff(code: code.map(Int32.init)))
    case .crashed: end(with: .guestPanicked(message: "it said so itself"))
    case .failed(let phase, let message): end(with: .failed(phase: phase, message: message))
    }
  }

  private func end(with event: ControlEvent) {
    serial?.stop()
    devices?.closeMirrors()
    writeProfile()
    note(lastWord: event)
    send(event)
    onEnd()
  }

  /// Notes that the process ends because nobody is there whose machine it could be.
  package func abandon(because reason: String) {
    note(lastWord: .failed(phase: "waiting for its controller", message: reason))
  }

  /// The first word is the last.
  private func note(lastWord event: ControlEvent) {
    let failure = lastWord.withLock { word -> Errno? in
      guard !word.hasEnded else { return nil }
      word.hasEnded = true
      guard let record = word.record else { return nil }
      do throws(Errno) { try EndRecord.write(event, to: record) } catch { return error }
      return nil
    }
    if let failure { send(.warning(line: "the record of its end could not be written: \(failure)")) }
  }

  /// Writes what was asked to be known of the machine that has ended.
  private func writeProfile() {
    guard let profile, let machine else { return }
    do throws(Errno) { try profile.write(runningTime: machine.runningTime) } catch {
      send(.warning(line: "the profile could not be written: \(error)"))
    }
  }
}
