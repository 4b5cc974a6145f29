internal import Synchronization
internal import Translator

/// A hart's state as a value, taken and set while its thread does not run.
extension Hart {
  package static let stateKind = "riscv,hart"
  package static let stateVersion = 1

  /// All that a guest can tell of a hart. Its reservation is not kept: the next store-conditional fails, as it may.
  package struct State: Codable, Equatable, Sendable {
    /// Where the hart is in its life (SBI HSM).
    package enum Life: UInt8, Codable, Sendable {
      case stopped = 0
      case startPending = 1
      case started = 2
    }

    package var programCounter: UInt64
    /// x0 to x31.
    package var integers: [UInt64]
    /// f0 to f31.
    package var floats: [UInt64]
    package var floatFlags: UInt32
    package var floatRounding: UInt32
    package var privilege: UInt64
    package var status: UInt64
    package var trapVector: UInt64
    package var scratch: UInt64
    package var exceptionPC: UInt64
    package var cause: UInt64
    package var trapValue: UInt64
    package var interruptEnable: UInt64
    package var translation: UInt64
    package var counterEnable: UInt64
    package var environment: UInt64
    package var timeCompare: UInt64
    /// sip.
    package var pending: UInt64
    package var instructionsRetired: UInt64
    package var life: Life
    /// Where a hart that is about to start does so, and a1.
    package var startAddress: UInt64
    package var startArgument: UInt64
  }

  package var savedState: State {
    noteFloatUse()
    let control = state.pointee
    var result = State(
      programCounter: context.programCounter,
      integers: (0..<32).map { context.registers[$0] }, floats: (32..<64).map { context.registers[$0] },
      floatFlags: context.half(ContextLayout.floatFlags).pointee,
      floatRounding: context.half(ContextLayout.floatRounding).pointee,
      privilege: control.privilege, status: control.status, trapVector: control.trapVector,
      scratch: control.scratch, exceptionPC: control.exceptionPC, cause: control.cause,
      trapValue: control.trapValue, interruptEnable: control.interruptEnable,
      translation: control.translation,
      counterEnable: control.counterEnable, environment: control.environment,
      timeCompare: control.timeCompare,
      pending: pendingInterrupts, instructionsRetired: instructionsRetired, life: .started, startAddress: 0,
      startArgument: 0)
    switch lifecycle.withLock({ $0 }) {
    case .started: break
    case .stopped: result.life = .stopped
    case .startPending(let address, let argument):
      result.life = .startPending
      (result.startAddress, result.startArgument) = (address, argument)
    }
    return result
  }

  /// Goes on from a state, of which nothing is believed that no guest could have brought about.
  package func restore(_ saved: State) {
    reset()
    for (number, value) in saved.integers.prefix(32).enumerated() where number > 0 {
      context.registers[number] = value
    }
    for (number, value) in saved.floats.prefix(32).enumerated() { context.registers[32 + number] = value }
    context.programCounter = saved.programCounter & ~1
    context.half(ContextLayout.floatFlags).pointee = saved.floatFlags & 0x1F
    context.half(ContextLayout.floatRounding).pointee = saved.floatRounding & 7
    context.word(ContextLayout.instructionsRetired).pointee = saved.instructionsRetired
    var control = HartState()
    control.privilege = saved.privilege & 1
    control.status = Status.withSummary(control.status & ~Status.writable | saved.status & Status.writable)
    control.trapVector = saved.trapVector & ~2
    control.scratch = saved.scratch
    control.exceptionPC = saved.exceptionPC & ~1
    control.cause = saved.cause
    control.trapValue = saved.trapValue
    control.interruptEnable = saved.interruptEnable & InterruptBit.all
    let mode = saved.translation >> 60
    if (PageWalk.Mode.sv39...cluster.widestPaging).contains(mode) { control.translation = saved.translation }
    control.counterEnable = saved.counterEnable & 7
    control.environment = saved.environment & Hart.environmentWritable
    control.timeCompare = saved.timeCompare
    state.pointee = control
    lifecycle.withLock {
      switch saved.life {
      case .stopped: $0 = .stopped
      case .started: $0 = .started
      case .startPending: $0 = .startPending(address: saved.startAddress, argument: saved.startArgument)
      }
    }
    changeSpace()
    forgetModeViews()
    setPending(saved.pending & InterruptBit.all, true)
    if saved.life == .started { setTimer(saved.timeCompare) }
    kick()
  }
}
