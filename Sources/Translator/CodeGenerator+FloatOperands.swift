internal import Assembler

/// Floating-point registers as operands and results.
///
/// Singles are kept boxed: with the upper half of the register all ones. What is not boxed counts as NaN, so
/// operands of single precision that the block does not know to be boxed are checked once.
extension CodeGenerator {
  /// A register or its place in the context.
  enum FloatOperand {
    case register(XMM)
    case memory(Address)
  }

  /// Whether the block has the guest's floating-point state in the host's registers.
  var usesFloat: Bool { key & BlockKeyBit.usesFloat != 0 }

  /// The host register of a guest's floating-point register in this block, or nil: it lives in the context.
  @inline(__always) func xmm(_ register: UInt8) -> XMM? {
    usesFloat ? floatHosts[Int(register)] : nil
  }

  func operand(_ register: UInt8) -> FloatOperand {
    if let xmm = xmm(register) { return .register(xmm) }
    return .memory(home(register))
  }

  /// A host register with the guest register's 64 bits: its own, or `scratch` after loading.
  mutating func source(_ register: UInt8, _ scratch: XMM) -> XMM {
    if let xmm = xmm(register) { return xmm }
    assembler.movsd(scratch, home(register))
    return scratch
  }

  /// Copies a register's 64 bits.
  mutating func copy(_ register: UInt8, into target: XMM) {
    switch operand(register) {
    case .register(let xmm): if xmm != target { assembler.movaps(target, xmm) }
    case .memory(let address): assembler.movsd(target, address)
    }
  }

  /// Where a result is made: in the destination's own register, unless that would spoil an operand that is
  /// needed again should the instruction have to be interpreted.
  func floatTarget(_ i: Instruction) -> XMM {
    guard let xmm = xmm(i.destination), i.destination != i.a, i.destination != i.b, i.destination != i.c
    else { return .xmm0 }
    return xmm
  }

  /// Gives the destination the 64 bits of a host register.
  mutating func setFloat(_ register: UInt8, _ source: XMM) {
    if let xmm = xmm(register) {
      if xmm != source { assembler.movaps(xmm, source) }
    } else {
      assembler.movsd(home(register), source)
    }
  }

  // MARK: - Cold paths

  /// Has an instruction interpreted at the label `entry`; goes on at `back`.
  mutating func interpretCold(_ i: Instruction) -> (entry: Label, back: Label) {
    let (entry, back) = (assembler.newLabel(), assembler.newLabel())
    colds.append(Cold(kind: .interpret, entry: entry, back: back, pc: pc, instruction: i))
    return (entry, back)
  }

  /// Has the instruction interpreted if its rounding mode is not the dynamic one, which MXCSR has.
  mutating func requireRounding(_ i: Instruction, else cold: Label) {
    guard i.info != RoundingModeCode.dynamic else { return }
    assembler.cmp(.w32, field(ContextLayout.floatRounding), Int32(i.info))
    assembler.jump(.ne, to: cold)
  }

  /// Has the instruction interpreted if a result is NaN: the guest's is always the same one, and it may come
  /// with exceptions of its own.
  mutating func requireNumber(_ result: XMM, _ precision: Precision, else cold: Label) {
    if precision == .double { assembler.ucomisd(result, result) } else { assembler.ucomiss(result, result) }
    assembler.jump(.p, to: cold)
  }

  // MARK: - Boxing

  private func boxBit(_ register: UInt8) -> UInt32 { 1 << UInt32(register & 31) }

  /// Has the instruction interpreted, and the block left, unless the registers hold boxed singles.
  mutating func requireBoxed(_ i: Instruction, _ registers: UInt8...) {
    var cold: Label?
    for register in registers where boxed & boxBit(register) == 0 {
      boxed |= boxBit(register)
      let entry = cold ?? assembler.newLabel()
      if cold == nil {
        cold = entry
        colds.append(Cold(kind: .interpretAndLeave, entry: entry, back: entry, pc: pc, instruction: i))
      }
      switch operand(register) {
      case .register(let xmm) where features.threeOperands:
        assembler.pextrd(.rax, xmm, 1)
        assembler.cmp(.w32, .rax, -1)
      case .register(let xmm):
        assembler.movq(.rax, xmm)
        assembler.shr(.w64, .rax, by: 32)
        assembler.cmp(.w32, .rax, -1)
      case .memory(let address): assembler.cmp(.w32, address.offset(by: 4), -1)
      }
      assembler.jump(.ne, to: entry)
    }
  }

  /// Notes whether the result that an instruction has left in a floating-point register is a boxed single.
  mutating func rememberBoxing(_ i: Instruction) {
    if i.operation.makesSingle {
      boxed |= boxBit(i.destination)
    } else {
      boxed &= ~boxBit(i.destination)
    }
  }
}

/// Rounding modes as instructions have them in ``Instruction/info``.
enum RoundingModeCode {
  static let nearestEven: UInt8 = 0
  static let towardsZero: UInt8 = 1
  static let down: UInt8 = 2
  static let up: UInt8 = 3
  /// To nearest, ties away from zero: no host instruction does that.
  static let nearestAway: UInt8 = 4
  static let dynamic: UInt8 = 7
}

extension Operation {
  /// Whether the result is a boxed single.
  var makesSingle: Bool {
    switch self {
    case .loadFloat32, .floatAdd32, .floatSubtract32, .floatMultiply32, .floatDivide32, .floatSquareRoot32,
      .floatMultiplyAdd32, .floatMultiplySubtract32, .floatNegatedMultiplySubtract32,
      .floatNegatedMultiplyAdd32, .floatCopySign32, .floatCopyNegatedSign32, .floatXorSign32,
      .floatMinimum32, .floatMaximum32, .floatMoveFromInteger32, .floatConvert64To32, .int32ToFloat32,
      .uint32ToFloat32, .int64ToFloat32, .uint64ToFloat32:
      true
    default: false
    }
  }
}
