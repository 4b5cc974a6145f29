internal import Synchronization
internal import Translator

extension Hart {
  /// Runs the hart until the cluster is halted: the body of its host thread. Call it again to go on.
  package func run() {
    enter()
    defer { leave() }
    // Another thread may have run the hart before.
    activateWindow()
    // Told apart here: the loop shares what it counts references to with the other harts.
    if let code = cluster.code {
      repeatUntilHalted { runTranslated(code) }
    } else {
      repeatUntilHalted { _ = interpret(limit: .max) }
    }
  }

  /// Has `advance` run the hart until something must be looked at, looks, and goes on, until the cluster is halted.
  @inline(__always)
  private func repeatUntilHalted(_ advance: () -> Void) {
    // Whoever stops or starts the hart kicks it.
    var isKnownToRun = false
    while true {
      if exitRequest.isSet {
        exitRequest.clear()
        if cluster.isHalted { return }
        serveRequests()
        checkTimer()
        isKnownToRun = false
      }
      if !isKnownToRun {
        guard isStarted() else { return }
        isKnownToRun = true
      }
      takeInterrupt()
      advance()
    }
  }

  /// Waits until the hart has been started; false when the cluster is halted before that.
  private func isStarted() -> Bool {
    while true {
      if startIfAsked() { return true }
      deadline.store(.max, ordering: .sequentiallyConsistent)
      exitRequest.clear()
      if cluster.isHalted { return false }
      serveRequests()
      if lifecycle.withLock({ $0 == .stopped }) { park() }
    }
  }

  /// Starts the hart if another asked for it; true if it is started.
  func startIfAsked() -> Bool {
    let (started, start) = lifecycle.withLock { state -> (Bool, (UInt64, UInt64)?) in
      switch state {
      case .started: return (true, nil)
      case .stopped: return (false, nil)
      case .startPending(let address, let argument):
        state = .started
        return (true, (address, argument))
      }
    }
    if let (address, argument) = start { begin(at: address, argument: argument) }
    return started
  }

  /// The state in which a hart starts (SBI HSM, table 5): supervisor mode, no translation, interrupts
  /// off, its number in a0 and an argument in a1.
  private func begin(at address: UInt64, argument: UInt64) {
    state.pointee.privilege = Privilege.supervisor.rawValue
    state.pointee.translation = 0
    state.pointee.status &= ~Status.interruptEnable
    context.registers[10] = UInt64(id)
    context.registers[11] = argument
    context.programCounter = address
    forgetTranslations()
    changeSpace()
  }
}
