internal import Translator

/// Privilege levels that a hart of Volary has. Machine mode is Volary itself: it answers supervisor
/// calls by SBI and delegates everything else.
package enum Privilege: UInt64, Sendable {
  case user = 0
  case supervisor = 1
}

/// The control state of a hart beside its registers (RISC-V Privileged Architecture, chapter 12).
///
/// A plain value in the front end's half of the context's memory, so that generated code can reach it.
package struct HartState: BitwiseCopyable, Sendable {
  package var privilege: UInt64 = Privilege.supervisor.rawValue
  /// sstatus as software reads it, but for what ``Hart/noteFloatUse()`` moves there.
  package var status: UInt64 = Status.userXLEN64
  package var trapVector: UInt64 = 0
  package var scratch: UInt64 = 0
  package var exceptionPC: UInt64 = 0
  package var cause: UInt64 = 0
  package var trapValue: UInt64 = 0
  package var interruptEnable: UInt64 = 0
  package var translation: UInt64 = 0
  /// scounteren. As firmware leaves it for the kernels that rely on that: cycle, time and instret are
  /// open to user mode.
  package var counterEnable: UInt64 = 7
  package var environment: UInt64 = 0
  /// stimecmp, in ticks of the machine's clock.
  package var timeCompare: UInt64 = .max

  package init() {}
}

extension HartState {
  /// Where a register is in the context, for generated code.
  static func place(_ path: PartialKeyPath<HartState>) -> Int32 {
    ContextLayout.frontEnd + Int32(MemoryLayout<HartState>.offset(of: path) ?? 0)
  }

  /// Where the pending interrupts are in the context, apart from the rest because other threads raise them.
  static var pendingPlace: Int32 { ContextLayout.frontEnd + 1024 }

  /// Where the context holds ``Hart/isSupervisorFloat``, which is not state of the guest's.
  static var supervisorFloatPlace: Int32 { ContextLayout.frontEnd + 1088 }

  /// Where the context holds ``Hart/servedChanges``.
  static var servedPlace: Int32 { ContextLayout.frontEnd + 1152 }
}

/// Bits of sstatus.
package enum Status {
  package static let interruptEnable: UInt64 = 1 << 1
  package static let previousInterruptEnable: UInt64 = 1 << 5
  package static let previousPrivilege: UInt64 = 1 << 8
  package static let floatState: UInt64 = 3 << 13
  package static let floatInitial: UInt64 = 1 << 13
  package static let floatDirty: UInt64 = 3 << 13
  package static let permitUserMemory: UInt64 = 1 << 18
  package static let makeExecutableReadable: UInt64 = 1 << 19
  package static let userXLEN64: UInt64 = 2 << 32
  package static let someDirty: UInt64 = 1 << 63

  /// `value` with SD as FS makes it.
  static func withSummary(_ value: UInt64) -> UInt64 {
    value & floatState == floatDirty ? value | someDirty : value & ~someDirty
  }

  /// What software can write.
  package static let writable: UInt64 =
    interruptEnable | previousInterruptEnable | previousPrivilege | floatState | permitUserMemory
    | makeExecutableReadable
}

/// Numbers of the supervisor's interrupts, as bits of sip and sie.
package enum InterruptBit {
  package static let software: UInt64 = 1 << 1
  package static let timer: UInt64 = 1 << 5
  package static let external: UInt64 = 1 << 9
  package static let all: UInt64 = software | timer | external
}
