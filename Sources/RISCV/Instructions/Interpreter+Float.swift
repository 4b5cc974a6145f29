internal import SoftFloat
internal import Translator

extension Interpreter {
  /// Carries out one floating-point instruction that does not access memory (unprivileged
  /// specification, chapters "F" and "D"), in software: the same result and flags on every host.
  ///
  /// Not inlined: the interpreter's loop stays small. Throws an illegal-instruction exception for a
  /// reserved dynamic rounding mode, and for instructions that are not its own.
  @inline(never)
  static func executeFloat(_ i: Instruction, context: Context) throws(Trap) {
    let registers = context.registers
    let a = registers[Int(i.a)]
    let b = registers[Int(i.b)]
    let c = registers[Int(i.c)]
    // Instructions that do not round have mode 0.
    let mode = i.info == 7 ? context.half(ContextLayout.floatRounding).pointee : UInt32(i.info)
    guard let rounding = RoundingMode(rawValue: UInt8(truncatingIfNeeded: mode)) else {
      throw .illegalInstruction(UInt64(bitPattern: i.imm))
    }
    var flags: ExceptionFlags = []
    let result: UInt64
    switch i.operation {
    case .floatAdd32: result = single(Binary32.add(a.single, b.single, rounding, &flags))
    case .floatSubtract32: result = single(Binary32.sub(a.single, b.single, rounding, &flags))
    case .floatMultiply32: result = single(Binary32.mul(a.single, b.single, rounding, &flags))
    case .floatDivide32: result = single(Binary32.div(a.single, b.single, rounding, &flags))
    case .floatSquareRoot32: result = single(Binary32.sqrt(a.single, rounding, &flags))
    case .floatAdd64: result = Binary64.add(a, b, rounding, &flags)
    case .floatSubtract64: result = Binary64.sub(a, b, rounding, &flags)
    case .floatMultiply64: result = Binary64.mul(a, b, rounding, &flags)
    case .floatDivide64: result = Binary64.div(a, b, rounding, &flags)
    case .floatSquareRoot64: result = Binary64.sqrt(a, rounding, &flags)

    // Negating the product is negating a factor.
    case .floatMultiplyAdd32, .floatMultiplySubtract32, .floatNegatedMultiplySubtract32,
      .floatNegatedMultiplyAdd32:
      let product = i.operation.negatesProduct ? singleSign : 0
      let addend = i.operation.negatesAddend ? singleSign : 0
      result = single(
        Binary32.fusedMultiplyAdd(a.single ^ product, b.single, c.single ^ addend, rounding, &flags))
    case .floatMultiplyAdd64, .floatMultiplySubtract64, .floatNegatedMultiplySubtract64,
      .floatNegatedMultiplyAdd64:
      let product = i.operation.negatesProduct ? doubleSign : 0
      let addend = i.operation.negatesAddend ? doubleSign : 0
      result = Binary64.fusedMultiplyAdd(a ^ product, b, c ^ addend, rounding, &flags)

    case .floatCopySign32:
      result = single((a.single & ~singleSign) | (b.single & singleSign))
    case .floatCopyNegatedSign32:
      result = single((a.single & ~singleSign) | (~b.single & singleSign))
    case .floatXorSign32: result = single(a.single ^ (b.single & singleSign))
    case .floatCopySign64: result = (a & ~doubleSign) | (b & doubleSign)
    case .floatCopyNegatedSign64: result = (a & ~doubleSign) | (~b & doubleSign)
    case .floatXorSign64: result = a ^ (b & doubleSign)

    case .floatMinimum32: result = single(Binary32.min(a.single, b.single, &flags))
    case .floatMaximum32: result = single(Binary32.max(a.single, b.single, &flags))
    case .floatMinimum64: result = Binary64.min(a, b, &flags)
    case .floatMaximum64: result = Binary64.max(a, b, &flags)
    case .floatEqual32: result = Binary32.eq(a.single, b.single, &flags) ? 1 : 0
    case .floatLess32: result = Binary32.lt(a.single, b.single, &flags) ? 1 : 0
    case .floatLessEqual32: result = Binary32.le(a.single, b.single, &flags) ? 1 : 0
    case .floatEqual64: result = Binary64.eq(a, b, &flags) ? 1 : 0
    case .floatLess64: result = Binary64.lt(a, b, &flags) ? 1 : 0
    case .floatLessEqual64: result = Binary64.le(a, b, &flags) ? 1 : 0
    case .floatClassify32: result = Binary32.classify(a.single)
    case .floatClassify64: result = Binary64.classify(a)

    case .floatMoveToInteger32: result = signExtended(UInt32(truncatingIfNeeded: a))
    case .floatMoveFromInteger32: result = single(UInt32(truncatingIfNeeded: a))
    case .floatMoveToInteger64, .floatMoveFromInteger64: result = a
    case .floatConvert32To64: result = Binary32.toBinary64(a.single, &flags)
    case .floatConvert64To32: result = single(Binary64.toBinary32(a, rounding, &flags))

    case .float32ToInt32: result = integer(Binary32.toInt32(a.single, rounding, &flags))
    case .float32ToUInt32: result = signExtended(Binary32.toUInt32(a.single, rounding, &flags))
    case .float32ToInt64: result = integer(Binary32.toInt64(a.single, rounding, &flags))
    case .float32ToUInt64: result = Binary32.toUInt64(a.single, rounding, &flags)
    case .float64ToInt32: result = integer(Binary64.toInt32(a, rounding, &flags))
    case .float64ToUInt32: result = signExtended(Binary64.toUInt32(a, rounding, &flags))
    case .float64ToInt64: result = integer(Binary64.toInt64(a, rounding, &flags))
    case .float64ToUInt64: result = Binary64.toUInt64(a, rounding, &flags)

    case .int32ToFloat32: result = single(Binary32.fromInt32(Int32(truncatingIfNeeded: a), rounding, &flags))
    case .uint32ToFloat32:
      result = single(Binary32.fromUInt32(UInt32(truncatingIfNeeded: a), rounding, &flags))
    case .int64ToFloat32: result = single(Binary32.fromInt64(Int64(bitPattern: a), rounding, &flags))
    case .uint64ToFloat32: result = single(Binary32.fromUInt64(a, rounding, &flags))
    case .int32ToFloat64: result = Binary64.fromInt32(Int32(truncatingIfNeeded: a), rounding, &flags)
    case .uint32ToFloat64: result = Binary64.fromUInt32(UInt32(truncatingIfNeeded: a), rounding, &flags)
    case .int64ToFloat64: result = Binary64.fromInt64(Int64(bitPattern: a), rounding, &flags)
    case .uint64ToFloat64: result = Binary64.fromUInt64(a, rounding, &flags)

    default:
      throw .illegalInstruction(0)
    }
    registers[Int(i.destination)] = result
    registers[0] = 0
    if i.destination >= 32 || !flags.isEmpty {
      context.half(ContextLayout.floatFlags).pointee |= UInt32(flags.rawValue)
      markFloatTouched(context)
    }
  }
}

private let singleSign: UInt32 = 1 << 31
private let doubleSign: UInt64 = 1 << 63

/// A register that holds a single.
@inline(always)
private func single(_ value: UInt32) -> UInt64 { Binary32.box(value) }

/// A register that holds a signed integer.
@inline(always)
private func integer(_ value: some FixedWidthInteger & SignedInteger) -> UInt64 {
  UInt64(truncatingIfNeeded: value)
}

extension UInt64 {
  /// The single in a register.
  fileprivate var single: UInt32 { Binary32.unbox(self) }
}

extension Operation {
  /// Of a fused multiplication: whether the product is negated before the addition.
  fileprivate var negatesProduct: Bool {
    switch self {
    case .floatNegatedMultiplySubtract32, .floatNegatedMultiplyAdd32, .floatNegatedMultiplySubtract64,
      .floatNegatedMultiplyAdd64:
      true
    default: false
    }
  }

  /// Of a fused multiplication: whether the addend is subtracted. `fnmsub` adds it, to the negated
  /// product.
  fileprivate var negatesAddend: Bool {
    switch self {
    case .floatMultiplySubtract32, .floatNegatedMultiplyAdd32, .floatMultiplySubtract64,
      .floatNegatedMultiplyAdd64:
      true
    default: false
    }
  }
}
