internal import Assembler

/// Conversions between formats and from and to integers.
extension CodeGenerator {
  /// Generates a conversion; false if it must be called out for.
  mutating func convertFloat(_ i: Instruction) -> Bool {
    switch i.operation {
    case .floatConvert32To64: widen(i)
    case .floatConvert64To32: return narrow(i)
    case .float32ToInt32: return floatToInteger(i, .single, isSigned: true, .w32)
    case .float32ToUInt32: return floatToInteger(i, .single, isSigned: false, .w32)
    case .float32ToInt64: return floatToInteger(i, .single, isSigned: true, .w64)
    case .float32ToUInt64: return floatToInteger(i, .single, isSigned: false, .w64)
    case .float64ToInt32: return floatToInteger(i, .double, isSigned: true, .w32)
    case .float64ToUInt32: return floatToInteger(i, .double, isSigned: false, .w32)
    case .float64ToInt64: return floatToInteger(i, .double, isSigned: true, .w64)
    case .float64ToUInt64: return floatToInteger(i, .double, isSigned: false, .w64)
    case .int32ToFloat32: integerToFloat(i, .single, isSigned: true, .w32)
    case .uint32ToFloat32: integerToFloat(i, .single, isSigned: false, .w32)
    case .int64ToFloat32: integerToFloat(i, .single, isSigned: true, .w64)
    case .uint64ToFloat32: integerToFloat(i, .single, isSigned: false, .w64)
    case .int32ToFloat64: integerToFloat(i, .double, isSigned: true, .w32)
    case .uint32ToFloat64: integerToFloat(i, .double, isSigned: false, .w32)
    case .int64ToFloat64: integerToFloat(i, .double, isSigned: true, .w64)
    case .uint64ToFloat64: integerToFloat(i, .double, isSigned: false, .w64)
    default: return false
    }
    return true
  }

  // MARK: - Formats

  private mutating func widen(_ i: Instruction) {
    noteFloat()
    requireBoxed(i, i.a)
    let (cold, back) = interpretCold(i)
    let work = floatTarget(i)
    // The conversion keeps the rest of its target; nothing should wait for that.
    assembler.xorps(work, work)
    switch operand(i.a) {
    case .register(let a): assembler.cvtss2sd(work, a)
    case .memory(let a): assembler.cvtss2sd(work, a)
    }
    requireNumber(work, .double, else: cold)
    setFloat(i.destination, work)
    assembler.bind(back)
  }

  private mutating func narrow(_ i: Instruction) -> Bool {
    guard i.info != RoundingModeCode.nearestAway else { return false }
    noteFloat()
    let (cold, back) = interpretCold(i)
    requireRounding(i, else: cold)
    let work = floatTarget(i)
    // The conversion keeps the rest of its target: the box.
    assembler.pcmpeqd(work, work)
    switch operand(i.a) {
    case .register(let a): assembler.cvtsd2ss(work, a)
    case .memory(let a): assembler.cvtsd2ss(work, a)
    }
    requireNumber(work, .single, else: cold)
    setFloat(i.destination, work)
    assembler.bind(back)
    return true
  }

  // MARK: - From integers

  private mutating func integerToFloat(
    _ i: Instruction, _ precision: Precision, isSigned: Bool, _ width: Width
  ) {
    noteFloat()
    let (cold, back) = interpretCold(i)
    let digits: UInt8 = precision == .double ? 53 : 24
    if i.info != RoundingModeCode.dynamic, width == .w64 || digits < 32 {
      requireExact(i, digits: digits, isSigned: isSigned, width, else: cold)
    }
    let integer: Register
    switch (isSigned, width) {
    case (true, _): integer = value(i.a, .rax)
    case (false, .w32):
      // As a positive number of 64 bits.
      assembler.mov(.w32, .rax, value(i.a, .rax))
      integer = .rax
    default:
      integer = value(i.a, .rax)
      assembler.test(.w64, integer, integer)
      assembler.jump(.s, to: cold)
    }
    let work = xmm(i.destination) ?? .xmm0
    let from: Width = isSigned ? width : .w64
    if precision == .double {
      assembler.xorps(work, work)
      assembler.cvtsi2sd(from, work, integer)
    } else {
      assembler.pcmpeqd(work, work)
      assembler.cvtsi2ss(from, work, integer)
    }
    setFloat(i.destination, work)
    assembler.bind(back)
  }

  /// Goes to `cold` unless the integer has so few digits that every rounding mode gives the same: those that
  /// are not the dynamic one come after another conversion, which has rounded a number to an integer.
  private mutating func requireExact(
    _ i: Instruction, digits: UInt8, isSigned: Bool, _ width: Width, else cold: Label
  ) {
    load(i.a, into: .rax)
    if isSigned {
      // All bits above are the same as the sign.
      assembler.sar(width, .rax, by: digits)
      assembler.inc(width, .rax)
      assembler.cmp(width, .rax, 1)
      assembler.jump(.a, to: cold)
    } else {
      assembler.shr(width, .rax, by: digits)
      assembler.jump(.ne, to: cold)
    }
  }

  // MARK: - To integers

  /// The host gives the least integer for what it cannot convert, and notes the same exception as the guest;
  /// so that result, right or wrong, is left to the interpreter. Unsigned ones are made by the signed
  /// conversion of 64 bits where that cannot go wrong.
  private mutating func floatToInteger(
    _ i: Instruction, _ precision: Precision, isSigned: Bool, _ width: Width
  ) -> Bool {
    let isAway = i.info == RoundingModeCode.nearestAway
    guard !isAway || features.threeOperands else { return false }
    if precision == .single { requireBoxed(i, i.a) }
    let (cold, back) = interpretCold(i)
    if !isSigned { requireInRange(i, precision, width, else: cold) }
    let from: Width = isSigned ? width : .w64
    let work = target(i.destination)
    let isTruncated = i.info == RoundingModeCode.towardsZero
    let isRounded = !isTruncated && i.info != RoundingModeCode.dynamic && features.threeOperands
    if isRounded {
      roundQuietly(i, precision)
      truncate(.register(.xmm0), precision, from, into: work)
    } else if isTruncated {
      truncate(operand(i.a), precision, from, into: work)
    } else {
      requireRounding(i, else: cold)
      convert(operand(i.a), precision, from, into: work)
    }
    if isSigned {
      assembler.cmp(from, work, 1)
      assembler.jump(.o, to: cold)
    }
    if isAway { roundAway(i, precision, from, work, else: cold) }
    // Once more for the exception if the operand was no integer, now that it is known to be the only one.
    if isRounded { truncate(operand(i.a), precision, .w64, into: .rdx) }
    if width == .w32 { assembler.movsx(.w64, work, work, from: .w32) }
    store(work, to: i.destination)
    assembler.bind(back)
    forget(i.destination)
    return true
  }

  /// Goes to `cold` unless the operand, taken as an integer, shows that it is not negative and small enough
  /// to be rounded to an unsigned integer of the width and a signed one of 64 bits.
  private mutating func requireInRange(
    _ i: Instruction, _ precision: Precision, _ width: Width, else cold: Label
  ) {
    load(i.a, into: .rax)
    if precision == .double {
      // 2^32 - 1 and 2^63.
      assembler.mov(.w64, .rdx, width == .w32 ? 0x41EF_FFFF_FFE0_0000 : 0x43E0_0000_0000_0000)
      assembler.cmp(.w64, .rax, .rdx)
    } else {
      // 2^32 and 2^63; the largest number below is an integer.
      assembler.cmp(.w32, .rax, width == .w32 ? 0x4F80_0000 : 0x5F00_0000)
    }
    assembler.jump(.ae, to: cold)
  }

  /// Rounds the operand to an integer in xmm0 as the instruction says, without noting that it was none.
  private mutating func roundQuietly(_ i: Instruction, _ precision: Precision) {
    let mode: RoundingMode =
      switch i.info {
      case RoundingModeCode.down: .down
      case RoundingModeCode.up: .up
      case RoundingModeCode.nearestAway: .truncate
      default: .nearest
      }
    switch (operand(i.a), precision) {
    case (.register(let a), .double): assembler.roundsd(.xmm0, a, mode, suppressInexact: true)
    case (.register(let a), .single): assembler.roundss(.xmm0, a, mode, suppressInexact: true)
    case (.memory(let a), .double): assembler.roundsd(.xmm0, a, mode, suppressInexact: true)
    case (.memory(let a), .single): assembler.roundss(.xmm0, a, mode, suppressInexact: true)
    }
  }

  /// Makes the result of an operand whose integer part is in `work` and xmm0 that of rounding it to nearest,
  /// ties away from zero. The difference is exact.
  private mutating func roundAway(
    _ i: Instruction, _ precision: Precision, _ width: Width, _ work: Register, else cold: Label
  ) {
    let isDouble = precision == .double
    let done = assembler.newLabel()
    copy(i.a, into: .xmm1)
    if isDouble { assembler.movmskpd(.rdx, .xmm1) } else { assembler.movmskps(.rdx, .xmm1) }
    assembler.scalar(.sub, precision, .xmm1, .xmm0)
    assembler.andps(.xmm1, field(isDouble ? FloatConstants.magnitude64 : FloatConstants.magnitude32))
    if isDouble {
      assembler.ucomisd(.xmm1, field(FloatConstants.half64))
    } else {
      assembler.ucomiss(.xmm1, field(FloatConstants.half32))
    }
    assembler.jumpShort(.b, to: done)
    // One or minus one, by the sign.
    assembler.and(.w32, .rdx, 1)
    assembler.neg(.w64, .rdx)
    assembler.or(.w64, .rdx, 1)
    assembler.add(width, work, .rdx)
    assembler.jump(.o, to: cold)
    assembler.bind(done)
  }

  /// To an integer towards zero.
  private mutating func truncate(
    _ operand: FloatOperand, _ precision: Precision, _ width: Width, into target: Register
  ) {
    switch (operand, precision) {
    case (.register(let a), .double): assembler.cvttsd2si(width, target, a)
    case (.register(let a), .single): assembler.cvttss2si(width, target, a)
    case (.memory(let a), .double): assembler.cvttsd2si(width, target, a)
    case (.memory(let a), .single): assembler.cvttss2si(width, target, a)
    }
  }

  /// To an integer in the dynamic rounding mode.
  private mutating func convert(
    _ operand: FloatOperand, _ precision: Precision, _ width: Width, into target: Register
  ) {
    switch (operand, precision) {
    case (.register(let a), .double): assembler.cvtsd2si(width, target, a)
    case (.register(let a), .single): assembler.cvtss2si(width, target, a)
    case (.memory(let a), .double): assembler.cvtsd2si(width, target, a)
    case (.memory(let a), .single): assembler.cvtss2si(width, target, a)
    }
  }
}
