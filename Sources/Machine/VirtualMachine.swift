package import Devices
package import HostSystem
package import RISCV
internal import Synchronization

/// A machine from power-on to its end, on whatever board: its CPUs' threads, its timer, what the guest asks of
/// its power supply.
///
/// A thread of its own carries out what ends or restarts the CPUs, because a CPU cannot wait for itself.
package final class VirtualMachine: Sendable {
  /// What the owner is told, on the machine's own thread.
  package enum Event: Sendable, Equatable {
    /// The guest switched itself off, with a code if it says that it failed. The CPUs have ended.
    case poweredOff(code: UInt16?)
    /// The guest asked for a restart; CPUs have ended, and the machine is loaded anew after this.
    case reset
    /// The guest's kernel gave up and said so. The CPUs have ended.
    case crashed
    /// The machine cannot go on.
    case failed(phase: String, message: String)
  }

  /// What the machine's thread is asked to do next.
  private enum Order: Equatable {
    case start, pause, resume, reset, end
    case guestPowerOff(code: UInt16?)
    case guestReset, guestCrash
    case cpuFailure(String)
    /// Something is done while the CPUs rest: the first of the errands.
    case errand
    /// ``State/wants`` has changed.
    case wants
  }

  /// Something to do while the CPUs rest.
  private struct Errand {
    let body: @Sendable () -> Void
    let runsAfterwards: Bool
    let done: Completion
  }

  private struct State {
    var orders: [Order] = []
    var isRunning = false
    /// What was ordered last, which may be under way still.
    var isToRun = false
    var hasStarted = false
    var startedAt: UInt64 = 0
    var ranBefore: UInt64 = 0
    var errands: [Errand] = []
    /// Disks that wait for room on the host. While there are any the CPUs rest, whatever was ordered.
    var wants: Set<String> = []
    var hasEnded = false
  }

  package let board: any MachineBoard
  private let guest: LinuxGuest?
  private let onEvent: @Sendable (Event) -> Void
  private let restarts: Bool
  private let state = Mutex(State())
  private let wake: EventCounter
  private let poller: Poller
  private let link: PowerLink

  /// Joins the guest's requests, which come before the machine is whole, to the machine.
  package final class PowerLink: HartClusterDelegate, @unchecked Sendable {  // set once, before CPUs run
    fileprivate weak var machine: VirtualMachine?
    private let serial: @Sendable (UnsafeRawBufferPointer) -> Void
    private let log: @Sendable (String) -> Void

    /// `serial` gets what the guest writes to SBI's debug console, `log` lines about the guest.
    package init(
      serial: @escaping @Sendable (UnsafeRawBufferPointer) -> Void, log: @escaping @Sendable (String) -> Void
    ) {
      self.serial = serial
      self.log = log
    }

    package func guestRequested(_ request: SystemResetRequest) {
      switch request {
      case .powerOff(let failed): machine?.order(.guestPowerOff(code: failed ? 1 : nil))
      case .reset: machine?.order(.guestReset)
      }
    }

    /// What the board's power switch is connected to.
    package func powerRequested(_ request: PowerRequest) {
      switch request {
      case .powerOff(let code): machine?.order(.guestPowerOff(code: code))
      case .reset: machine?.order(.guestReset)
      }
    }

    /// What the board's crash report is connected to.
    package func guestCrashed() { machine?.order(.guestCrash) }
    /// A CPU cannot go on.
    package func cpuFailed(_ reason: String) { machine?.order(.cpuFailure(reason)) }

    /// A disk has no room on the host, or has some again.
    package func disk(_ name: String, waitsForRoom: Bool) {
      machine?.note(waitsForRoom ? { $0.insert(name) } : { $0.remove(name) })
    }

    package func debugConsoleWrite(_ bytes: UnsafeRawBufferPointer) { serial(bytes) }
    package func report(_ line: String) { log(line) }
  }

  /// A machine on `board`, which has `guest` put in memory at power-on, or without one starts its firmware. With `restarts` a guest's restart is one;
  /// without, it ends the machine.
  package init(
    board: any MachineBoard, guest: LinuxGuest?, link: PowerLink, restarts: Bool,
    onEvent: @escaping @Sendable (Event) -> Void
  ) throws(Errno) {
    self.board = board
    self.link = link
    self.restarts = restarts
    self.guest = guest
    self.onEvent = onEvent
    wake = try EventCounter()
    poller = try Poller()
    try poller.add(wake.descriptor.raw, .read, token: 0)
    link.machine = self
  }

  // MARK: - Orders

  /// Loads the guest and checks that it can be run. Call it before ``start()``.
  package func prepare() throws(BootError) { try board.powerOn(guest) }

  /// Starts the machine's thread and the CPUs.
  package func start() throws(Errno) {
    _ = try Thread.start(name: "machine") { self.serve() }
    _ = try Thread.start(name: "timer") { self.board.runTimer() }
    order(.start)
  }

  package func pause() { order(.pause) }
  package func resume() { order(.resume) }
  /// As if the reset button were pressed.
  package func reset() { order(.reset) }
  /// As if the power were cut.
  package func end() { order(.end) }

  /// Whether the CPUs run, or are about to. False from when a pause is complete.
  package var isRunning: Bool { state.withLock { $0.isRunning || $0.isToRun } }

  private func note(_ change: (inout Set<String>) -> Void) {
    state.withLock { change(&$0.wants) }
    order(.wants)
  }

  /// Nanoseconds that the CPUs have run.
  package var runningTime: UInt64 {
    state.withLock { $0.ranBefore + ($0.isRunning ? monotonicNanoseconds() - $0.startedAt : 0) }
  }

  /// Does something while the CPUs rest, and then, if `runsAfterwards`, lets them go on if they ran. Nil when the
  /// machine has ended, or ends before it comes to that.
  package func rest<Result: Sendable>(
    thenRun runsAfterwards: Bool, _ body: @escaping @Sendable () -> Result
  ) -> Result? {
    let outcome = Outcome<Result>()
    let done = Completion()
    let errand = Errand(
      body: { outcome.result.withLock { $0 = body() } }, runsAfterwards: runsAfterwards, done: done)
    let isTaken = state.withLock { state in
      if !state.hasEnded { state.errands.append(errand) }
      return !state.hasEnded
    }
    guard isTaken else { return nil }
    order(.errand)
    done.wait()
    return outcome.result.withLock { $0 }
  }

  private final class Outcome<Result: Sendable>: Sendable {
    let result = Mutex<Result?>(nil)
  }

  private func order(_ order: Order) {
    state.withLock { state in
      state.orders.append(order)
      switch order {
      case .start, .resume: state.isToRun = true
      case .pause: state.isToRun = false
      default: break
      }
    }
    // The guest that asked must not run on.
    switch order {
    case .guestPowerOff, .guestReset, .guestCrash, .cpuFailure: board.setHalted(true)
    default: break
    }
    wake.signal()
  }

  // MARK: - The machine's thread

  private func serve() {
    var threads: [Thread] = []
    while true {
      let order = state.withLock { $0.orders.isEmpty ? nil : $0.orders.removeFirst() }
      guard let order else {
        _ = try? poller.wait()
        wake.drain()
        continue
      }
      switch order {
      case .start, .resume: run(&threads)
      case .pause: halt(&threads)
      case .errand: runErrand(&threads)
      case .wants:
        if state.withLock({ !$0.wants.isEmpty }) {
          halt(&threads)
        } else if state.withLock({ $0.isToRun }) {
          run(&threads)
        }
      case .reset:
        halt(&threads)
        guard reload(&threads) else { return }
      case .guestReset:
        halt(&threads)
        guard restarts else { return finish(.reset) }
        onEvent(.reset)
        guard reload(&threads) else { return }
      case .guestPowerOff(let code):
        halt(&threads)
        return finish(.poweredOff(code: code))
      case .guestCrash:
        halt(&threads)
        return finish(.crashed)
      case .cpuFailure(let reason):
        halt(&threads)
        return finish(.failed(phase: "running the guest", message: reason))
      case .end:
        halt(&threads)
        return finish(.poweredOff(code: nil))
      }
    }
  }

  private func run(_ threads: inout [Thread]) {
    guard threads.isEmpty, state.withLock({ $0.wants.isEmpty }) else { return }
    board.setHalted(false)
    do throws(Errno) {
      for number in 0..<board.cpuCount {
        threads.append(try Thread.start(name: "cpu\(number)") { [board] in board.runCPU(number) })
      }
    } catch {
      halt(&threads)
      onEvent(.failed(phase: "starting the CPUs", message: error.description))
      return
    }
    state.withLock {
      $0.isRunning = true
      $0.startedAt = monotonicNanoseconds()
    }
  }

  private func halt(_ threads: inout [Thread]) {
    board.setHalted(true)
    for thread in threads { thread.join() }
    threads.removeAll()
    state.withLock {
      if $0.isRunning { $0.ranBefore += monotonicNanoseconds() - $0.startedAt }
      $0.isRunning = false
    }
  }

  /// False, and the end, when the guest cannot be loaded again.
  private func reload(_ threads: inout [Thread]) -> Bool {
    do throws(BootError) {
      try board.powerOn(guest?.restarted())
    } catch {
      finish(.failed(phase: "loading the guest again", message: error.description))
      return false
    }
    run(&threads)
    return true
  }

  private func runErrand(_ threads: inout [Thread]) {
    let errand = state.withLock { $0.errands.isEmpty ? nil : $0.errands.removeFirst() }
    guard let errand else { return }
    let ran = !threads.isEmpty
    halt(&threads)
    errand.body()
    if !errand.runsAfterwards {
      state.withLock { $0.isToRun = false }
    } else if ran {
      run(&threads)
    }
    errand.done.complete()
  }

  private func finish(_ event: Event) {
    // Whoever waits for an errand waits for nothing.
    let errands = state.withLock { state in
      state.hasEnded = true
      defer { state.errands = [] }
      return state.errands
    }
    for errand in errands { errand.done.complete() }
    board.end()
    board.stopDevices()
    onEvent(event)
  }
}
