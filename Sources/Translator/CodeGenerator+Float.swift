internal import Assembler

/// Floating-point arithmetic by the host's, whose results and exceptions are the guest's but for NaN. Whatever
/// is not a plain case is interpreted from the operands, which are left as they were until the result is known.
extension CodeGenerator {
  /// Generates a floating-point instruction; false if it must be called out for.
  mutating func emitFloat(_ i: Instruction) -> Bool {
    switch i.operation {
    case .floatMoveToInteger64, .floatMoveFromInteger64, .floatMoveToInteger32, .floatMoveFromInteger32:
      moveFloatBits(i)
      return true
    case .floatCopySign64, .floatCopyNegatedSign64, .floatXorSign64:
      floatSign(i, .double)
      return true
    case .floatCopySign32, .floatCopyNegatedSign32, .floatXorSign32:
      floatSign(i, .single)
      return true
    default: break
    }
    guard usesFloat else { return false }
    switch i.operation {
    case .floatAdd32: return floatArithmetic(i, .add, .single)
    case .floatSubtract32: return floatArithmetic(i, .sub, .single)
    case .floatMultiply32: return floatArithmetic(i, .mul, .single)
    case .floatDivide32: return floatArithmetic(i, .div, .single)
    case .floatSquareRoot32: return floatSquareRoot(i, .single)
    case .floatAdd64: return floatArithmetic(i, .add, .double)
    case .floatSubtract64: return floatArithmetic(i, .sub, .double)
    case .floatMultiply64: return floatArithmetic(i, .mul, .double)
    case .floatDivide64: return floatArithmetic(i, .div, .double)
    case .floatSquareRoot64: return floatSquareRoot(i, .double)
    case .floatMultiplyAdd32: return floatMultiplyAdd(i, .madd, .single)
    case .floatMultiplySubtract32: return floatMultiplyAdd(i, .msub, .single)
    case .floatNegatedMultiplySubtract32: return floatMultiplyAdd(i, .nmadd, .single)
    case .floatNegatedMultiplyAdd32: return floatMultiplyAdd(i, .nmsub, .single)
    case .floatMultiplyAdd64: return floatMultiplyAdd(i, .madd, .double)
    case .floatMultiplySubtract64: return floatMultiplyAdd(i, .msub, .double)
    case .floatNegatedMultiplySubtract64: return floatMultiplyAdd(i, .nmadd, .double)
    case .floatNegatedMultiplyAdd64: return floatMultiplyAdd(i, .nmsub, .double)
    case .floatMinimum32: floatMinimum(i, .min, .single)
    case .floatMaximum32: floatMinimum(i, .max, .single)
    case .floatMinimum64: floatMinimum(i, .min, .double)
    case .floatMaximum64: floatMinimum(i, .max, .double)
    case .floatEqual32: floatEqual(i, .single)
    case .floatEqual64: floatEqual(i, .double)
    case .floatLess32: floatOrder(i, .a, .single)
    case .floatLess64: floatOrder(i, .a, .double)
    case .floatLessEqual32: floatOrder(i, .ae, .single)
    case .floatLessEqual64: floatOrder(i, .ae, .double)
    case .floatClassify32: floatClassify(i, .single)
    case .floatClassify64: floatClassify(i, .double)
    case .floatReadFlags: floatReadFlags(i)
    case .floatReadRounding: floatReadRounding(i)
    case .floatExchangeFlags: floatExchangeFlags(i)
    default: return convertFloat(i)
    }
    return true
  }

  // MARK: - Arithmetic

  private mutating func floatArithmetic(
    _ i: Instruction, _ operation: ScalarOperation, _ precision: Precision
  ) -> Bool {
    guard i.info != RoundingModeCode.nearestAway else { return false }
    noteFloat()
    if precision == .single { requireBoxed(i, i.a, i.b) }
    let (cold, back) = interpretCold(i)
    requireRounding(i, else: cold)
    let work = floatTarget(i)
    if features.threeOperands {
      // The upper half comes from the first operand, and so does the box.
      let a = source(i.a, .xmm1)
      switch operand(i.b) {
      case .register(let b): assembler.scalar(operation, precision, work, a, b)
      case .memory(let b): assembler.scalar(operation, precision, work, a, b)
      }
    } else {
      copy(i.a, into: work)
      switch operand(i.b) {
      case .register(let b): assembler.scalar(operation, precision, work, b)
      case .memory(let b): assembler.scalar(operation, precision, work, b)
      }
    }
    requireNumber(work, precision, else: cold)
    setFloat(i.destination, work)
    assembler.bind(back)
    return true
  }

  private mutating func floatSquareRoot(_ i: Instruction, _ precision: Precision) -> Bool {
    guard i.info != RoundingModeCode.nearestAway else { return false }
    noteFloat()
    if precision == .single { requireBoxed(i, i.a) }
    let (cold, back) = interpretCold(i)
    requireRounding(i, else: cold)
    let work = floatTarget(i)
    copy(i.a, into: work)
    assembler.scalar(.sqrt, precision, work, work)
    requireNumber(work, precision, else: cold)
    setFloat(i.destination, work)
    assembler.bind(back)
    return true
  }

  private mutating func floatMultiplyAdd(
    _ i: Instruction, _ operation: FusedOperation, _ precision: Precision
  ) -> Bool {
    guard features.fusedMultiplyAdd, i.info != RoundingModeCode.nearestAway else { return false }
    noteFloat()
    if precision == .single { requireBoxed(i, i.a, i.b, i.c) }
    let (cold, back) = interpretCold(i)
    requireRounding(i, else: cold)
    let work = floatTarget(i)
    copy(i.c, into: work)
    let a = source(i.a, .xmm1)
    switch operand(i.b) {
    case .register(let b): assembler.fma(operation, .f231, precision, work, a, b)
    case .memory(let b): assembler.fma(operation, .f231, precision, work, a, b)
    }
    requireNumber(work, precision, else: cold)
    setFloat(i.destination, work)
    assembler.bind(back)
    return true
  }

  /// The host's minimum and maximum give their second operand when the two are equal, as zeroes of both
  /// signs are: both orders together have the sign that is asked for.
  private mutating func floatMinimum(_ i: Instruction, _ operation: ScalarOperation, _ precision: Precision) {
    noteFloat()
    if precision == .single { requireBoxed(i, i.a, i.b) }
    let (cold, back) = interpretCold(i)
    let a = source(i.a, .xmm1)
    let b = source(i.b, .xmm2)
    // First this: of NaN, the instructions themselves raise an exception even when it is quiet.
    if precision == .double { assembler.ucomisd(a, b) } else { assembler.ucomiss(a, b) }
    assembler.jump(.p, to: cold)
    assembler.movaps(.xmm0, a)
    assembler.scalar(operation, precision, .xmm0, b)
    if b != .xmm2 { assembler.movaps(.xmm2, b) }
    assembler.scalar(operation, precision, .xmm2, a)
    if operation == .min { assembler.orps(.xmm0, .xmm2) } else { assembler.andps(.xmm0, .xmm2) }
    setFloat(i.destination, .xmm0)
    assembler.bind(back)
  }

  // MARK: - Comparison

  /// `a == b`; of NaN only a signalling one is an exception.
  private mutating func floatEqual(_ i: Instruction, _ precision: Precision) {
    if precision == .single { requireBoxed(i, i.a, i.b) }
    let a = source(i.a, .xmm0)
    switch (operand(i.b), precision) {
    case (.register(let b), .double): assembler.ucomisd(a, b)
    case (.register(let b), .single): assembler.ucomiss(a, b)
    case (.memory(let b), .double): assembler.ucomisd(a, b)
    case (.memory(let b), .single): assembler.ucomiss(a, b)
    }
    guard i.destination != 0 else { return }
    // Unordered operands count as equal there, with parity.
    assembler.setcc(.np, .rax)
    assembler.setcc(.e, .rdx)
    assembler.and(.w32, .rdx, .rax)
    let work = target(i.destination)
    assembler.movzx(work, .rdx, from: .w8)
    store(work, to: i.destination)
    forget(i.destination)
  }

  /// `b > a` or `b >= a`; any NaN is an exception, and neither.
  private mutating func floatOrder(_ i: Instruction, _ condition: Condition, _ precision: Precision) {
    if precision == .single { requireBoxed(i, i.a, i.b) }
    let b = source(i.b, .xmm0)
    switch (operand(i.a), precision) {
    case (.register(let a), .double): assembler.comisd(b, a)
    case (.register(let a), .single): assembler.comiss(b, a)
    case (.memory(let a), .double): assembler.comisd(b, a)
    case (.memory(let a), .single): assembler.comiss(b, a)
    }
    guard i.destination != 0 else { return }
    assembler.setcc(condition, .rax)
    let work = target(i.destination)
    assembler.movzx(work, .rax, from: .w8)
    store(work, to: i.destination)
    forget(i.destination)
  }

  /// One bit of ten: those of normal numbers and zeroes here, of others by the interpreter.
  private mutating func floatClassify(_ i: Instruction, _ precision: Precision) {
    guard i.destination != 0 else { return }
    if precision == .single { requireBoxed(i, i.a) }
    let (cold, back) = interpretCold(i)
    let (normal, done) = (assembler.newLabel(), assembler.newLabel())
    let isDouble = precision == .double
    let width: Width = isDouble ? .w64 : .w32
    let work = target(i.destination)
    load(i.a, into: .rax)
    // The exponent without the sign: of normal numbers neither zero nor all ones.
    assembler.mov(width, .rdx, .rax)
    assembler.add(width, .rdx, .rdx)
    assembler.shr(width, .rdx, by: isDouble ? 53 : 24)
    assembler.dec(.w32, .rdx)
    assembler.cmp(.w32, .rdx, isDouble ? 0x7FE : 0xFE)
    assembler.mov(width, .rdx, .rax)
    assembler.jumpShort(.b, to: normal)
    assembler.add(width, .rdx, .rdx)
    assembler.jump(.ne, to: cold)
    func select(_ negative: Int32, _ positive: Int32) {
      assembler.sar(width, .rax, by: isDouble ? 63 : 31)
      assembler.and(.w32, .rax, negative - positive)
      assembler.add(.w32, .rax, positive)
    }
    select(1 << 3, 1 << 4)
    assembler.jumpShort(to: done)
    assembler.bind(normal)
    select(1 << 1, 1 << 6)
    assembler.bind(done)
    if work != .rax { assembler.mov(.w32, work, .rax) }
    store(work, to: i.destination)
    assembler.bind(back)
    forget(i.destination)
  }
}
