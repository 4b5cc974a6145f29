internal import Translator

extension Hart {
  /// Enters the supervisor's trap handler for an exception or interrupt at `pc` (RISC-V Privileged
  /// Architecture, chapter 12.1.5 and following).
  func takeTrap(cause: UInt64, value: UInt64, pc: UInt64) {
    profile?.countTrap(cause)
    noteFloatUse()
    noteTrapForFloat()
    if cause == Trap.Cause.supervisorTimerInterrupt, state.pointee.privilege == 0 { noteUserTick() }
    let old = state.pointee.status
    var status = old & ~(Status.previousPrivilege | Status.previousInterruptEnable | Status.interruptEnable)
    if old & Status.interruptEnable != 0 { status |= Status.previousInterruptEnable }
    if state.pointee.privilege != 0 { status |= Status.previousPrivilege }
    state.pointee.status = status
    state.pointee.exceptionPC = pc
    state.pointee.cause = cause
    state.pointee.trapValue = value
    state.pointee.privilege = Privilege.supervisor.rawValue
    let vector = state.pointee.trapVector
    let isVectored = vector & 1 != 0 && cause >> 63 != 0
    context.programCounter = (vector & ~3) &+ (isVectored ? (cause & 63) * 4 : 0)
    selectView()
  }

  func takeTrap(_ trap: Trap, pc: UInt64) { takeTrap(cause: trap.cause, value: trap.value, pc: pc) }

  /// SRET.
  func returnFromTrap() {
    noteFloatUse()
    let old = state.pointee.status
    var status = old & ~(Status.previousPrivilege | Status.interruptEnable)
    if old & Status.previousInterruptEnable != 0 { status |= Status.interruptEnable }
    state.pointee.status = status | Status.previousInterruptEnable
    state.pointee.privilege = old & Status.previousPrivilege != 0 ? 1 : 0
    context.programCounter = state.pointee.exceptionPC
    selectView()
  }

  /// Whether an interrupt is pending that may be taken now.
  var canTakeInterrupt: Bool {
    pendingInterrupts & state.pointee.interruptEnable != 0
      && (state.pointee.privilege == 0 || state.pointee.status & Status.interruptEnable != 0)
  }

  /// Takes the most urgent enabled interrupt, if there is one. True if it did.
  @discardableResult
  func takeInterrupt() -> Bool {
    guard canTakeInterrupt else { return false }
    let ready = pendingInterrupts & state.pointee.interruptEnable
    guard ready != 0 else { return false }
    // External before software before timer.
    let number: UInt64 = ready & InterruptBit.external != 0 ? 9 : ready & InterruptBit.software != 0 ? 1 : 5
    takeTrap(cause: Trap.Cause.interrupt | number, value: 0, pc: context.programCounter)
    return true
  }
}
