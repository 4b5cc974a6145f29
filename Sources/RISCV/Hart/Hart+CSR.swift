internal import Translator

/// Numbers of the control and status registers that a hart has.
package enum CSR {
  package static let fflags: UInt16 = 0x001
  package static let frm: UInt16 = 0x002
  package static let fcsr: UInt16 = 0x003
  package static let cycle: UInt16 = 0xC00
  package static let time: UInt16 = 0xC01
  package static let instret: UInt16 = 0xC02
  package static let sstatus: UInt16 = 0x100
  package static let sie: UInt16 = 0x104
  package static let stvec: UInt16 = 0x105
  package static let scounteren: UInt16 = 0x106
  package static let senvcfg: UInt16 = 0x10A
  package static let sscratch: UInt16 = 0x140
  package static let sepc: UInt16 = 0x141
  package static let scause: UInt16 = 0x142
  package static let stval: UInt16 = 0x143
  package static let sip: UInt16 = 0x144
  package static let stimecmp: UInt16 = 0x14D
  package static let satp: UInt16 = 0x180
}

extension Hart {
  /// Control state that changed needs the current view or the pending interrupts looked at again.
  struct CSREffects: OptionSet {
    let rawValue: UInt8
    static let view = CSREffects(rawValue: 1)
  }

  /// Bits of senvcfg that can be written: FIOM, and those of the cache-block instructions.
  static let environmentWritable: UInt64 = 1 | 3 << 4 | 1 << 6 | 1 << 7

  /// sstatus as software reads it.
  package var status: UInt64 {
    noteFloatUse()
    return state.pointee.status
  }

  /// Moves what floating-point instructions noted into sstatus.FS.
  func noteFloatUse() {
    let touched = context.half(ContextLayout.floatTouched)
    if touched.pointee != 0 {
      touched.pointee = 0
      state.pointee.status |= Status.floatDirty | Status.someDirty
    }
  }

  var isFloatOff: Bool { state.pointee.status & Status.floatState == 0 }

  /// The value of a register. Throws nil's stand-in, an illegal instruction, by returning nil when
  /// the register does not exist or the privilege is too low.
  func readCSR(_ number: UInt16) -> UInt64? {
    guard UInt64(number >> 8) & 3 <= state.pointee.privilege else { return nil }
    switch number {
    case CSR.fflags, CSR.frm, CSR.fcsr:
      guard !isFloatOff else { return nil }
      let flags = UInt64(context.half(ContextLayout.floatFlags).pointee)
      let rounding = UInt64(context.half(ContextLayout.floatRounding).pointee)
      return number == CSR.fflags ? flags : number == CSR.frm ? rounding : rounding << 5 | flags
    case CSR.cycle, CSR.time, CSR.instret:
      if privilege == .user, state.pointee.counterEnable & (1 << UInt64(number - CSR.cycle)) == 0 {
        return nil
      }
      return number == CSR.time ? cluster.clock.now : counter
    case CSR.sstatus: return status
    case CSR.sie: return state.pointee.interruptEnable
    case CSR.stvec: return state.pointee.trapVector
    case CSR.scounteren: return state.pointee.counterEnable
    case CSR.senvcfg: return state.pointee.environment
    case CSR.sscratch: return state.pointee.scratch
    case CSR.sepc: return state.pointee.exceptionPC
    case CSR.scause: return state.pointee.cause
    case CSR.stval: return state.pointee.trapValue
    case CSR.sip: return pendingInterrupts
    case CSR.stimecmp: return state.pointee.timeCompare
    case CSR.satp: return state.pointee.translation
    default: return nil
    }
  }

  /// Cycles and instructions: the retired instructions where they are counted, else the clock's
  /// nanoseconds, as of a processor that does one a nanosecond.
  private var counter: UInt64 {
    cluster.countsInstructions
      ? context.word(ContextLayout.instructionsRetired).pointee : cluster.clock.now &* MachineClock.tick
  }

  /// Writes a register that ``readCSR(_:)`` has found readable; false if it is read-only.
  func writeCSR(_ number: UInt16, _ value: UInt64) -> Bool {
    guard number >> 10 != 3 else { return false }
    switch number {
    case CSR.fflags, CSR.frm, CSR.fcsr:
      if number != CSR.frm { context.half(ContextLayout.floatFlags).pointee = UInt32(value & 31) }
      if number != CSR.fflags {
        let bits = number == CSR.fcsr ? value >> 5 : value
        context.half(ContextLayout.floatRounding).pointee = UInt32(bits & 7)
      }
      state.pointee.status |= Status.floatDirty | Status.someDirty
    case CSR.sstatus: writeStatus(value)
    case CSR.sie: state.pointee.interruptEnable = value & InterruptBit.all
    case CSR.stvec:
      if value & 3 <= 1 { state.pointee.trapVector = value }
    case CSR.scounteren: state.pointee.counterEnable = value & 7
    case CSR.senvcfg: state.pointee.environment = value & Self.environmentWritable
    case CSR.sscratch: state.pointee.scratch = value
    case CSR.sepc: state.pointee.exceptionPC = value & ~1
    case CSR.scause: state.pointee.cause = value
    case CSR.stval: state.pointee.trapValue = value
    case CSR.sip:
      setPending(InterruptBit.software, value & InterruptBit.software != 0)
    case CSR.stimecmp: setTimer(value)
    case CSR.satp: writeTranslation(value)
    default: return false
    }
    return true
  }

  private func writeStatus(_ value: UInt64) {
    noteFloatUse()
    let old = state.pointee.status
    let new = Status.withSummary((old & ~Status.writable) | (value & Status.writable))
    state.pointee.status = new
    if (old ^ new) & Status.makeExecutableReadable != 0 {
      forgetModeViews()
    } else if (old ^ new) & Status.permitUserMemory != 0 {
      selectView()
    }
  }

  /// satp: an unsupported mode leaves it as it was.
  private func writeTranslation(_ value: UInt64) {
    let mode = value >> 60
    guard mode == PageWalk.Mode.bare || (PageWalk.Mode.sv39...cluster.widestPaging).contains(mode)
    else { return }
    let new = mode == PageWalk.Mode.bare ? 0 : value
    guard new != state.pointee.translation else { return }
    state.pointee.translation = new
    changeSpace()
  }
}
