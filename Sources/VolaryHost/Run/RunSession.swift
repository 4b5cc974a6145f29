import Glibc
import HostSystem
import MachineControl

/// A machine and the person in front of it: carries bytes between them, follows the machine's life,
/// and says in the end how it went.
package final class RunSession {
  /// How the session comes to its end. The first one counts.
  enum Ending: Equatable {
    /// The guest switched itself off or asked for a restart.
    case guestEnded
    case panicked(String)
    /// The guest restarted so often, each time soon after its start.
    case restartsInVain(Int)
    case failed(phase: String, message: String)
    /// The control socket closed, or did not keep to its protocol.
    case controlLost(ControlError)
    /// The guest did not come up in time.
    case bootTimedOut
    /// This process got a signal that ends it.
    case signal(Int32)
    /// The person left with the escape key.
    case left
    /// Nobody reads the output any more.
    case outputClosed
  }

  /// Ctrl-], as telnet and virsh have it.
  static let escapeKey: UInt8 = 0x1d

  /// Milliseconds from a guest's word that its job ended until its power is cut; from the machine's
  /// end until its process is killed.
  private static let powerOffPatience: UInt64 = 60_000
  private static let processPatience: UInt64 = 5_000
  /// Milliseconds that a job has to end after a signal; the guest kills it after half of them.
  private static let stopPatience: UInt64 = 10_000

  let plan: RunPlan
  let machine: LaunchedMachine
  private let signals: SignalQueue
  private let terminal: Terminal?

  private var relays: [Relay] = []
  private var taps: [ConsoleTap] = []
  /// What the guest's kernel says, from the serial line, and what its first process says, from hvc0.
  private var serialLog = ConsoleLog()
  private var consoleLog = ConsoleLog()
  private var processLog = ConsoleLog()
  private var jobLines = ConsoleLog()

  private(set) var isReady = false
  /// The guest's first process can end its job when it is told to.
  private var canStop = false
  /// The signal that the job was told to end by.
  private var stopSignal: Int32?
  /// The job's exit code, once the guest's first process told it.
  private(set) var jobCode: Int32?
  private(set) var ending: Ending?
  private var processExit: ChildProcess.Exit?
  private var isControlOpen = true
  private var isNetworkUp: Bool
  /// For kernels whose first process does not report.
  private var watch: OwnKernelWatch?
  private let diskServer: RunDiskServer?
  /// When patience with the current phase ends, in nanoseconds of the monotonic clock.
  private var deadline: UInt64?

  /// `terminal` is the person's, where `plan.streams` says so.
  init(_ plan: RunPlan, _ machine: LaunchedMachine, signals: SignalQueue, terminal: Terminal?) {
    self.plan = plan
    self.machine = machine
    self.signals = signals
    self.terminal = terminal
    (isNetworkUp, diskServer) = (machine.nat != nil, RunDiskServer(plan))
    if !plan.reportsJob { watch = OwnKernelWatch(now: monotonicNanoseconds()) }
    connectStreams()
  }

  deinit { machine.terminate() }

  /// Runs until the machine has ended, and returns the exit code for this process.
  package func run() throws(VolaryError) -> Int32 {
    defer {
      terminal?.restore()
      machine.terminate()
    }
    if let terminal {
      do { try terminal.enterRawMode() } catch {
        throw VolaryError("the terminal cannot be put into raw mode: \(error)")
      }
      sendSize()
    }
    if let seconds = plan.bootTimeout { setDeadline(milliseconds: UInt64(seconds) * 1000) }
    while !isOver { turn() }
    terminal?.restore()
    showProfile()
    return try result()
  }

  /// Writes the profile that was kept for standard error.
  private func showProfile() {
    guard let profile = machine.profile, lseek(profile.raw, 0, SEEK_SET) == 0 else { return }
    while let piece = Relay.read(profile.raw), !piece.isEmpty {
      _ = piece.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
  }

  // MARK: - Streams

  private func connectStreams() {
    let stdin: Int32 = 0
    let stdout: Int32 = 1
    let stderr: Int32 = 2
    switch (plan.streams, plan.reportsJob) {
    case (.pipes, true):
      let input = machine.standardInput
      relays = [
        Relay(from: stdin, to: input.descriptor.raw, finish: { input.finishSending() }),
        Relay(from: machine.standardOutput.descriptor.raw, to: stdout),
        Relay(from: machine.standardError.descriptor.raw, to: stderr),
      ]
    case (.terminal, _), (.pipes, false):
      let console = plan.console == .hvc0 ? machine.console : machine.serial
      relays = [
        Relay(from: stdin, to: console.descriptor.raw), Relay(from: console.descriptor.raw, to: stdout),
      ]
    case (.lines, _): break
    }
    let relayed = Set(relays.map(\.source))
    let sources: [(ConsoleTap.Channel, Int32)] = [
      (.serial, machine.serial.descriptor.raw), (.console, machine.console.descriptor.raw),
      (.job, machine.jobControl.descriptor.raw), (.process, machine.words.raw),
      (.process, machine.standardOutput.descriptor.raw), (.process, machine.standardError.descriptor.raw),
      (.process, machine.natWords?.raw ?? -1),
    ]
    taps = sources.filter { $0.1 >= 0 && !relayed.contains($0.1) }
      .map { ConsoleTap(channel: $0.0, source: $0.1) }
  }

  /// Piped input waits for a job that can take it, so that a boot that fails has eaten none. A terminal
  /// is read from the start, for the escape key.
  private func mayMove(_ index: Int) -> Bool {
    relays[index].source != 0 || terminal != nil || isReady || !plan.reportsJob
  }

  // MARK: - The loop

  /// The machine's process has ended and all that it sent was passed on, or nobody cares any more.
  private var isOver: Bool {
    switch ending {
    case .signal, .left, .outputClosed: return processExit != nil
    default: break
    }
    let isDrained = relays.dropFirst().allSatisfy(\.isDone) && taps.allSatisfy { !$0.isOpen }
    return processExit != nil && isDrained
  }

  /// Waits for something to happen and handles it.
  private func turn() {
    handleEvents()
    var entries = [pollfd(fd: signals.descriptor.raw, events: Int16(POLLIN), revents: 0)]
    if isControlOpen {
      entries.append(pollfd(fd: machine.control.socket.descriptor.raw, events: Int16(POLLIN), revents: 0))
    }
    if processExit == nil {
      entries.append(pollfd(fd: machine.process.descriptor.raw, events: Int16(POLLIN), revents: 0))
    }
    if let diskServer { entries.append(diskServer.pollEntry) }
    if isNetworkUp, let nat = machine.nat {
      entries.append(pollfd(fd: nat.descriptor.raw, events: Int16(POLLIN), revents: 0))
    }
    for index in relays.indices where mayMove(index) { entries += relays[index].pollEntries }
    for tap in taps where tap.isOpen {
      entries.append(pollfd(fd: tap.source, events: Int16(POLLIN), revents: 0))
    }
    poll(&entries, nfds_t(entries.count), pollTimeout)

    var ready: [Int32: Int16] = [:]
    for entry in entries where entry.revents != 0 { ready[entry.fd, default: 0] |= entry.revents }
    let isReady = { (fd: Int32, events: Int16) in
      (ready[fd] ?? 0) & (events | Int16(POLLHUP | POLLERR | POLLNVAL)) != 0
    }
    while let signal = signals.next() { handle(signal: signal) }
    // Output before ends, so that a process's last words are not cut off.
    for index in taps.indices { moveTap(index, isReady) }
    for index in relays.indices where mayMove(index) { moveRelay(index, isReady) }
    if isControlOpen, let line = diskServer?.handOver(machine.control) { tell(line) }
    handleEvents()
    watchProcesses()
    watchDeadline()
    watchKernel()
  }

  private var pollTimeout: Int32 {
    let times = [deadline, watch?.nextLook(standsStill: panicOfStandstill != nil)].compactMap { $0 }
    guard let time = times.min() else { return -1 }
    let now = monotonicNanoseconds()
    return now >= time ? 0 : Int32(clamping: (time - now) / 1_000_000 + 1)
  }

  private func setDeadline(milliseconds: UInt64) {
    deadline = monotonicNanoseconds() + milliseconds * 1_000_000
  }

  private func moveRelay(_ index: Int, _ isReady: (Int32, Int16) -> Bool) {
    let source = relays[index].source
    var hasLeft = false
    relays[index].move(isReady: isReady) { bytes in
      if source == 0, self.terminal != nil, let key = bytes.firstIndex(of: Self.escapeKey) {
        bytes.removeSubrange(key...)
        hasLeft = true
      }
      if source == self.machine.serial.descriptor.raw { self.serialLog.append(bytes) }
      if source == self.machine.console.descriptor.raw { self.consoleLog.append(bytes) }
      if source != 0, !bytes.isEmpty { self.watch?.heard(at: monotonicNanoseconds(), isShown: true) }
    }
    if hasLeft { end(.left) }
    if index > 0, relays[index].sinkFailure != nil, stopSignal == nil {
      if !stop(with: SIGPIPE) { end(.outputClosed) }
    }
  }

  private func moveTap(_ index: Int, _ isReady: (Int32, Int16) -> Bool) {
    guard taps[index].isOpen, isReady(taps[index].source, Int16(POLLIN)) else { return }
    guard let bytes = Relay.read(taps[index].source) else { return }
    if bytes.isEmpty { taps[index].isOpen = false }
    if !bytes.isEmpty { watch?.heard(at: monotonicNanoseconds(), isShown: false) }
    switch taps[index].channel {
    case .serial: serialLog.append(bytes) { show($0) }
    case .console: consoleLog.append(bytes) { show($0) }
    case .process: processLog.append(bytes) { show($0) }
    case .job: jobLines.append(bytes) { handle(jobLine: $0) }
    }
  }

  /// A line that the person sees only when it was asked for.
  private func show(_ line: String) {
    if case .lines(let take) = plan.streams { return take(line) }
    if plan.isVerbose { say(line) }
  }

  /// Writes a line to standard error, as a terminal in raw mode needs it too.
  private func say(_ line: String) {
    let text = line + (terminal == nil ? "\n" : "\r\n")
    _ = text.withCString { Glibc.write(2, $0, strlen($0)) }
  }

  // MARK: - The machine's life

  private func handle(jobLine line: String) {
    if line == "stops" {
      canStop = true
    } else if line == "ready" {
      isReady = true
      deadline = nil
      if terminal != nil { sendSize() }
    } else if line.hasPrefix("exit "), let code = Int32(line.dropFirst("exit ".count)),
      (0...255).contains(code)
    {
      jobCode = code
      setDeadline(milliseconds: stopSignal == nil ? Self.powerOffPatience : Self.stopPatience)
    }
  }

  private func handleEvents() {
    do {
      while isControlOpen, let event = try machine.control.nextEvent() { handle(event) }
    } catch {
      isControlOpen = false
      end(.controlLost(error))
    }
  }

  private func handle(_ event: ControlEvent) {
    switch event {
    case .started, .diskFull, .memoryKept, .mirrorChanged: break
    case .guestPoweredOff: end(.guestEnded)
    case .guestReset: if plan.reportsJob { end(.guestEnded) } else { followRestart() }
    case .guestPanicked(let message): end(.panicked(message))
    case .failed(let phase, let message): end(.failed(phase: phase, message: message))
    case .diskFailed(let disk, let operation, let errorNumber):
      tell(DiskTrouble(plan, disk: disk, operation: operation, error: Errno(errorNumber)).error.report)
    case .diskLost(_, let reason): if let line = diskServer?.lost(reason) { tell(line) }
    case .diskReturned: if let line = diskServer?.returned() { tell(line) }
    case .warning(let line): say("volary: \(line)")
    }
  }

  /// Says that a disk cannot be served; to whoever reads the lines, where somebody does.
  private func tell(_ line: String) {
    if case .lines(let take) = plan.streams { take(line) } else { say(line) }
  }

  /// Notes why the session ends, and gives the machine's process a moment to follow.
  private func end(_ reason: Ending) {
    if ending == nil { ending = reason }
    switch reason {
    case .signal, .left, .outputClosed, .bootTimedOut, .panicked, .restartsInVain:
      if isControlOpen { try? machine.control.post(.kill) }
    default: break
    }
    setDeadline(milliseconds: Self.processPatience)
  }

  private func watchProcesses() {
    if processExit == nil { processExit = machine.process.reap() }
    if isNetworkUp, let exit = machine.nat?.reap() {
      isNetworkUp = false
      // It ends by itself when the machine's process has gone, which may show only later.
      if processExit == nil && ending == nil && exit != .code(0) {
        say("volary: the network is gone: \(HelperProgram.nat.rawValue) \(exit)")
      }
    }
    // The helper's last words need not be waited for: its descriptors may outlive it in nobody.
    if processExit != nil && ending == nil { end(.controlLost(.closed)) }
    if processExit != nil { machine.nat?.terminate() }
  }

  private func watchDeadline() {
    guard let deadline, monotonicNanoseconds() >= deadline else { return }
    // A machine whose job has ended waits for whoever reads its output slowly.
    if ending == nil, jobCode != nil, stopSignal == nil, relays.dropFirst().contains(where: \.wantsSink) {
      return setDeadline(milliseconds: Self.powerOffPatience)
    }
    self.deadline = nil
    if let stopSignal, ending == nil {
      end(.signal(stopSignal))
    } else if ending == nil && jobCode == nil {
      end(.bootTimedOut)
    } else if processExit == nil {
      machine.process.terminate()
    }
  }

  // MARK: - Own kernels

  /// What a kernel said that gave up and stands still.
  private var panicOfStandstill: String? {
    serialLog.endsInPanic ? serialLog.panic : consoleLog.endsInPanic ? consoleLog.panic : nil
  }

  private func followRestart() {
    // What the kernel said before lies ready, and may tell that the restart is a panic's.
    let mayRead = { (_: Int32, events: Int16) in events == Int16(POLLIN) }
    for index in taps.indices { moveTap(index, mayRead) }
    for index in relays.indices.dropFirst() { moveRelay(index, mayRead) }
    act(on: watch?.restarted(at: monotonicNanoseconds(), panic: serialLog.panic ?? consoleLog.panic))
  }

  private func watchKernel() {
    guard ending == nil else { return }
    act(on: watch?.look(at: monotonicNanoseconds(), panic: panicOfStandstill))
  }

  private func act(on finding: OwnKernelWatch.Finding?) {
    switch finding {
    case .silent:
      let advice =
        plan.firmware != nil
        ? "what the disk starts has to be told of its serial console, as by 'console=ttyS0'"
        : plan.console == .hvc0
          ? "a kernel finds it when it has loaded the drivers of virtio, and 'console=ttyS0' at once"
          : "'\(plan.architecture.earlyConsole)' in --append shows the kernel's first words"
      say("volary: \(plan.name): nothing came over the console \(plan.console.rawValue) yet; \(advice)")
    case .panicked(let message): end(.panicked(message))
    case .restartsInVain(let count): end(.restartsInVain(count))
    case nil: break
    }
  }

  // MARK: - The person

  private func handle(signal: Int32) {
    switch signal {
    case SIGWINCH: sendSize()
    case SIGTSTP:
      // The machine rests while this process does.
      terminal?.restore()
      try? machine.control.post(.pause)
      kill(getpid(), SIGSTOP)
    case SIGCONT:
      try? machine.control.post(.resume)
      try? terminal?.enterRawMode()
      sendSize()
    default:
      // The second one is impatient.
      if case .signal = ending { machine.process.terminate() }
      if stopSignal != nil || !stop(with: signal) { end(.signal(signal)) }
    }
  }

  /// Has the guest's first process end the job by a signal and switch off in order; its disks may hold
  /// what the job is about to write. A kernel of the person's own is asked by the power button, where the board
  /// has one. False when there is no job, or nobody to tell it.
  private func stop(with signal: Int32) -> Bool {
    guard ending == nil else { return false }
    // Whose output nobody reads has no more to say.
    if !plan.reportsJob, plan.architecture.hasPowerButton, signal != SIGPIPE {
      return pressPowerButton(signal)
    }
    guard isReady, canStop else { return false }
    if jobCode == nil {
      let word = Array("stop \(signal)\n".utf8)
      let socket = machine.jobControl.descriptor.raw
      let written = word.withUnsafeBytes { Glibc.write(socket, $0.baseAddress, $0.count) }
      if written != word.count { return false }
    }
    stopSignal = signal
    setDeadline(milliseconds: Self.stopPatience)
    return true
  }

  /// Presses the guest's power button for a signal that was to end it.
  private func pressPowerButton(_ signal: Int32) -> Bool {
    guard isControlOpen, (try? machine.control.post(.stop)) != nil else { return false }
    stopSignal = signal
    setDeadline(milliseconds: Self.stopPatience)
    return true
  }

  private func sendSize() {
    guard isControlOpen, let size = terminal?.size else { return }
    try? machine.control.post(.resizeConsole(columns: size.columns, rows: size.rows))
  }

  // MARK: - The outcome

  private func result() throws(VolaryError) -> Int32 {
    switch ending {
    case .signal(let number): return 128 + number
    case .left: return 0
    case .outputClosed: return 128 + SIGPIPE
    case .panicked, .restartsInVain, .failed, .bootTimedOut, .guestEnded, .controlLost, nil: break
    }
    if let stopSignal { return 128 + stopSignal }
    if let jobCode {
      if !isReady {
        // The initial RAM disk could not hand over; it says why on the console.
        say(failure(.failed, "the guest could not start its job").report)
      }
      return jobCode
    }
    if let panic = serialLog.panic ?? consoleLog.panic {
      throw failure(.failed, "the guest's kernel gave up (\(panic))")
    }
    switch ending {
    case .panicked(let message): throw failure(.failed, "the guest's kernel gave up (\(message))")
    case .restartsInVain(let count):
      throw failure(.failed, "the guest restarted \(count) times in a row, each time soon after its start")
    case .failed(let phase, let message):
      throw failure(.failed, "the machine failed while \(phase): \(message)")
    case .bootTimedOut:
      throw failure(.timedOut, "the guest did not come up in \(plan.bootTimeout ?? 0) seconds")
    case .controlLost(.closed):
      if processExit == .code(0) && !plan.reportsJob { return 0 }
      throw failure(.failed, "the machine's process \(processExit?.description ?? "is gone")")
    case .controlLost(let error): throw failure(.failed, error.description)
    default:
      if plan.reportsJob && !isReady { throw failure(.failed, "the guest switched itself off") }
      return 0
    }
  }

  private func failure(_ code: VolaryError.Code, _ reason: String) -> VolaryError {
    let phase = !plan.reportsJob || isReady ? "running" : "booting"
    // What the person has seen already need not be said again.
    let words =
      processLog.last(8) + (isShown(.serial) ? [] : serialLog.last(12))
      + (isReady || isShown(.hvc0) ? [] : consoleLog.last(8))
    let wayOut =
      isShown(.serial)
      ? "its console says why" : plan.isVerbose ? nil : "'--verbose' shows all that the guest's kernel says"
    return VolaryError(code, "\(plan.name): \(reason), while \(phase)", wayOut: wayOut, lastWords: words)
  }

  private func isShown(_ console: RunPlan.Console) -> Bool {
    switch plan.streams {
    case .terminal: plan.console == console
    case .pipes: !plan.reportsJob && plan.console == console
    case .lines: false
    }
  }
}

/// A channel that is only listened to.
struct ConsoleTap {
  enum Channel {
    case serial
    case console
    case job
    /// Words of the machine's own process, and streams that should be silent.
    case process
  }

  let channel: Channel
  let source: Int32
  var isOpen = true
}
