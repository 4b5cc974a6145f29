/// An exception or interrupt on its way to the hart's trap handler.
///
/// Thrown by whatever an instruction does; the hart turns it into `scause` and `stval`
/// (privileged specification, 12.1.8 and 12.1.9).
package struct Trap: Error, Equatable, Sendable {
  /// What goes into `scause`: a constant of ``Cause``.
  package var cause: UInt64
  /// What goes into `stval`: the address of a memory exception, the encoding of an illegal instruction.
  package var value: UInt64

  package init(cause: UInt64, value: UInt64 = 0) {
    self.cause = cause
    self.value = value
  }

  /// An illegal-instruction exception for an encoding.
  package static func illegalInstruction(_ encoding: UInt64) -> Trap {
    Trap(cause: Cause.illegalInstruction, value: encoding)
  }
}

extension Trap {
  /// The values of `scause` and `mcause` (privileged specification, tables of 3.1.15 and 12.1.8).
  package enum Cause {
    // MARK: Exceptions

    package static let instructionAddressMisaligned: UInt64 = 0
    package static let instructionAccessFault: UInt64 = 1
    package static let illegalInstruction: UInt64 = 2
    package static let breakpoint: UInt64 = 3
    package static let loadAddressMisaligned: UInt64 = 4
    package static let loadAccessFault: UInt64 = 5
    /// Stores, and all atomic read-modify-write operations.
    package static let storeAddressMisaligned: UInt64 = 6
    package static let storeAccessFault: UInt64 = 7
    package static let environmentCallFromUser: UInt64 = 8
    package static let environmentCallFromSupervisor: UInt64 = 9
    package static let environmentCallFromMachine: UInt64 = 11
    package static let instructionPageFault: UInt64 = 12
    package static let loadPageFault: UInt64 = 13
    package static let storePageFault: UInt64 = 15

    // MARK: Interrupts

    /// The bit that tells an interrupt from an exception.
    package static let interrupt: UInt64 = 1 << 63
    package static let supervisorSoftwareInterrupt = interrupt | 1
    package static let machineSoftwareInterrupt = interrupt | 3
    package static let supervisorTimerInterrupt = interrupt | 5
    package static let machineTimerInterrupt = interrupt | 7
    package static let supervisorExternalInterrupt = interrupt | 9
    package static let machineExternalInterrupt = interrupt | 11
    package static let counterOverflowInterrupt = interrupt | 13
  }
}

extension Trap.Cause {
  /// What a cause is called, as the specification's table of supervisor causes has it.
  package static func name(_ cause: UInt64) -> String {
    switch cause {
    case instructionAddressMisaligned: "instruction address misaligned"
    case instructionAccessFault: "instruction access fault"
    case illegalInstruction: "illegal instruction"
    case breakpoint: "breakpoint"
    case loadAddressMisaligned: "load address misaligned"
    case loadAccessFault: "load access fault"
    case storeAddressMisaligned: "store or AMO address misaligned"
    case storeAccessFault: "store or AMO access fault"
    case environmentCallFromUser: "environment call from user mode"
    case environmentCallFromSupervisor: "environment call from supervisor mode"
    case instructionPageFault: "instruction page fault"
    case loadPageFault: "load page fault"
    case storePageFault: "store or AMO page fault"
    case interrupt | 1: "supervisor software interrupt"
    case interrupt | 5: "supervisor timer interrupt"
    case interrupt | 9: "supervisor external interrupt"
    default: (cause & interrupt != 0 ? "interrupt " : "exception ") + String(cause & ~interrupt)
    }
  }
}
