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
  private let send: @Sendable (ControlEvent) -> Void
  /// Called on the machine's thread when the machine has ended and the controller has been told.
  private let onEnd: @Sendable () -> Void

  private var machine: VirtualMachine?
  private var devices: ConfiguredDevices?
  private var serial: SerialStream?
  private var profile: MachineProfile?
  private var engine = MachineConfiguration.Engine.auto
  private let ended = Mutex(false)
  private var hasStarted = false
  private let resident = try? ResidentMemory()

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
    let builder = try BoardBuilder(configuration, descriptors, send: send)
    engine = builder.engine
    try closeSandbox?(builder.deviceRequests)
    // What the guest does wrong goes to the log; of what the host does the person is told.
    let log = WarningLimiter { Self.log($0) }
    let note: @Sendable (String) -> Void = { log.report($0) }
    if let index = configuration.serial {
      serial = try ControlFailure.host("opening the serial port") { () throws(Errno) in
        try SerialStream(socket: descriptors[index])
      }
    }
    let serial = serial
    let link = VirtualMachine.PowerLink(serial: { serial?.send($0) }, log: note)
    var connections = BoardConnections()
    connections.serialOutput = { serial?.send($0) }
    connections.serialHasRoom = { serial?.hasRoom() }
    connections.power = { link.powerRequested($0) }
    connections.crashed = { link.guestCrashed() }
    connections.failed = { link.cpuFailed($0) }
    connections.report = note

    let product = try builder.build(connections, link: link)
    devices = product.devices
    profile = product.profile
    if let serial {
      try ControlFailure.host("starting the serial port") { () throws(Errno) in
        try serial.connect(to: product.board.serial)
      }
    }
    let guest = LinuxGuest(
      kernel: descriptors[configuration.boot.kernel],
      initrd: configuration.boot.initrd.map { descriptors[$0] }, commandLine: configuration.boot.append,
      entropySeed: configuration.entropySeed)
    let machine = try ControlFailure.host("making the machine") { () throws(Errno) in
      try VirtualMachine(
        board: product.board, guest: guest, link: link, restarts: configuration.resetAction == .restart,
        onEvent: { [weak self] in self?.handle($0) })
    }
    do throws(BootError) { try machine.prepare() } catch {
      throw ControlFailure(.invalidConfiguration, phase: "loading the guest", message: error.description)
    }
    self.machine = machine
  }

  /// A line on the process's own standard error.
  private static func log(_ line: String) {
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
    guard hasStarted else { return onEnd() }
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

  package func status() throws(ControlFailure) -> MachineStatus {
    guard let machine else { return MachineStatus() }
    let hasEnded = ended.withLock { $0 }
    return MachineStatus(
      state: hasEnded ? .ended : !hasStarted ? .configured : machine.isRunning ? .running : .paused,
      engine: engine, runningTime: machine.runningTime,
      instructions: machine.board.instructionsRetired, exits: machine.board.exits,
      residentMemory: resident?.bytes ?? 0,
      balloon: UInt64(devices?.balloon.actualPages ?? 0) * UInt64(GuestMemory.pageSize))
  }

  private func handle(_ event: VirtualMachine.Event) {
    switch event {
    case .reset: send(.guestReset)
    case .poweredOff(let code):
      end(with: .guestPoweredOff(code: code.map(Int32.init)))
    case .crashed: end(with: .guestPanicked(message: "it said so itself"))
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
    guard let profile, let machine else { return }
    do throws(Errno) { try profile.write(runningTime: machine.runningTime) } catch {
      send(.warning(line: "the profile could not be written: \(error)"))
    }
  }
}
