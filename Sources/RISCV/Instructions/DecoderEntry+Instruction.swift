internal import Translator

extension DecoderEntry {
  /// The instruction that an encoding of this row is.
  @inline(always)
  func instruction(_ bits: UInt32) -> Instruction {
    let e = Encoding(bits)
    var length: UInt8 = 4
    var destination: UInt8 = 0
    var a: UInt8 = 0
    var b: UInt8 = 0
    var c: UInt8 = 0
    var info = self.info
    var imm: Int64 = 0
    /// Whether the operands are none that the specification reserves.
    var isLegal = operation != .illegal

    // Registers of the floating-point file.
    let float: UInt8 = 32

    switch format {
    case .fixed:
      break
    case .r:
      (destination, a, b) = (e.rd, e.rs1, e.rs2)
    case .rUnary:
      (destination, a) = (e.rd, e.rs1)
    case .rShiftAdd:
      (destination, a, b, imm) = (e.rd, e.rs1, e.rs2, Int64(info))
      info = 0
    case .i, .iLoad:
      (destination, a, imm) = (e.rd, e.rs1, e.immediateI)
    case .iFloatLoad:
      (destination, a, imm) = (float + e.rd, e.rs1, e.immediateI)
    case .iShift, .iShift32:
      (destination, a, imm) = (e.rd, e.rs1, e.shiftAmount)
    case .s:
      (a, b, imm) = (e.rs1, e.rs2, e.immediateS)
    case .sFloat:
      (a, b, imm) = (e.rs1, float + e.rs2, e.immediateS)
    case .b:
      (a, b, imm) = (e.rs1, e.rs2, e.immediateB)
    case .u:
      (destination, imm) = (e.rd, e.immediateU)
    case .j:
      (destination, imm) = (e.rd, e.immediateJ)
    case .fence:
      info = e.fenceOrdering.rawValue
    case .csr, .csrImmediate:
      (destination, a, imm) = (e.rd, e.rs1, Int64(e.csr))
    case .fenceVMA:
      (a, b) = (e.rs1, e.rs2)
    case .cacheBlock:
      a = e.rs1
    case .prefetch:
      (a, imm) = (e.rs1, e.immediateS)
    case .atomic:
      (destination, a, b, info) = (e.rd, e.rs1, e.rs2, e.atomicOrdering.rawValue)
    case .loadReserved:
      (destination, a, info) = (e.rd, e.rs1, e.atomicOrdering.rawValue)
    case .r4:
      (destination, a, b, c) = (float + e.rd, float + e.rs1, float + e.rs2, float + e.rs3)
      (info, imm) = (e.roundingMode, Int64(bits))
      isLegal = e.hasRoundingMode
    case .floatRounded:
      (destination, a, b) = (float + e.rd, float + e.rs1, float + e.rs2)
      (info, imm) = (e.roundingMode, Int64(bits))
      isLegal = isLegal && e.hasRoundingMode
    case .float:
      (destination, a, b) = (float + e.rd, float + e.rs1, float + e.rs2)
    case .floatUnary, .floatUnaryExact:
      (destination, a) = (float + e.rd, float + e.rs1)
      (info, imm) = (e.roundingMode, Int64(bits))
      isLegal = e.hasRoundingMode
    case .floatCompare:
      (destination, a, b) = (e.rd, float + e.rs1, float + e.rs2)
    case .floatToInteger:
      (destination, a) = (e.rd, float + e.rs1)
      (info, imm) = (e.roundingMode, Int64(bits))
      isLegal = e.hasRoundingMode
    case .floatFromInteger, .floatFromIntegerExact:
      (destination, a) = (float + e.rd, e.rs1)
      (info, imm) = (e.roundingMode, Int64(bits))
      isLegal = e.hasRoundingMode
    case .floatMoveToInteger:
      (destination, a) = (e.rd, float + e.rs1)
    case .floatMoveFromInteger:
      (destination, a) = (float + e.rd, e.rs1)

    // The expansions are those of the specification's chapter "C"; where it reserves operands, a row
    // is illegal with them.
    case .cFixed:
      length = 2
    case .ciwAddSP:
      (length, destination, a, imm) = (2, e.rdLow, 2, e.immediateCIW)
      isLegal = imm != 0
    case .clWord:
      (length, destination, a, imm) = (2, e.rdLow, e.rs1Low, e.immediateCLWord)
    case .clDouble:
      (length, destination, a, imm) = (2, e.rdLow, e.rs1Low, e.immediateCLDouble)
    case .clFloatDouble:
      (length, destination, a, imm) = (2, float + e.rdLow, e.rs1Low, e.immediateCLDouble)
    case .csWord:
      (length, a, b, imm) = (2, e.rs1Low, e.rdLow, e.immediateCLWord)
    case .csDouble:
      (length, a, b, imm) = (2, e.rs1Low, e.rdLow, e.immediateCLDouble)
    case .csFloatDouble:
      (length, a, b, imm) = (2, e.rs1Low, float + e.rdLow, e.immediateCLDouble)
    case .ci:
      (length, destination, a, imm) = (2, e.rd, e.rd, e.immediateCI)
    case .ciNotZero:
      (length, destination, a, imm) = (2, e.rd, e.rd, e.immediateCI)
      isLegal = destination != 0
    case .ciLoad:
      (length, destination, imm) = (2, e.rd, e.immediateCI)
    case .ciAddSP:
      (length, destination, a, imm) = (2, 2, 2, e.immediateCIAddSP)
      isLegal = imm != 0
    case .ciUpper:
      (length, destination, imm) = (2, e.rd, e.immediateCIUpper)
      isLegal = imm != 0
    case .ciShift:
      (length, destination, a, imm) = (2, e.rd, e.rd, e.shiftAmountCI)
    case .ciLoadWordSP:
      (length, destination, a, imm) = (2, e.rd, 2, e.immediateCIWordSP)
      isLegal = destination != 0
    case .ciLoadDoubleSP:
      (length, destination, a, imm) = (2, e.rd, 2, e.immediateCIDoubleSP)
      isLegal = destination != 0
    case .ciFloatLoadDoubleSP:
      (length, destination, a, imm) = (2, float + e.rd, 2, e.immediateCIDoubleSP)
    case .cbShift:
      (length, destination, a, imm) = (2, e.rs1Low, e.rs1Low, e.shiftAmountCI)
    case .cbAnd:
      (length, destination, a, imm) = (2, e.rs1Low, e.rs1Low, e.immediateCI)
    case .ca:
      (length, destination, a, b) = (2, e.rs1Low, e.rs1Low, e.rdLow)
    case .cj:
      (length, imm) = (2, e.immediateCJ)
    case .cbBranch:
      (length, a, imm) = (2, e.rs1Low, e.immediateCB)
    case .crJump:
      (length, destination, a) = (2, info, e.rd)
      info = 0
      isLegal = a != 0
    case .crMove:
      (length, destination, b) = (2, e.rd, e.rs2Compressed)
    case .crAdd:
      (length, destination, a, b) = (2, e.rd, e.rd, e.rs2Compressed)
    case .cssWord:
      (length, a, b, imm) = (2, 2, e.rs2Compressed, e.immediateCSSWord)
    case .cssDouble:
      (length, a, b, imm) = (2, 2, e.rs2Compressed, e.immediateCSSDouble)
    case .cssFloatDouble:
      (length, a, b, imm) = (2, 2, float + e.rs2Compressed, e.immediateCSSDouble)
    }

    guard isLegal else {
      return Instruction(
        .illegal, length: length, imm: Int64(length == 2 ? bits & 0xFFFF : bits))
    }
    var result = Instruction(
      operation, destination: destination, a: a, b: b, c: c, info: info, length: length, imm: imm)
    result.reserved = row
    return result
  }
}

extension Encoding {
  /// Whether the rounding mode is none of the two that are reserved.
  var hasRoundingMode: Bool { roundingMode < 5 || roundingMode == 7 }

  /// The ordering bits of an atomic memory operation.
  var atomicOrdering: Ordering {
    Ordering(rawValue: (ordering &>> 1) | ((ordering & 1) &<< 1))
  }

  /// What a fence orders: its predecessor set is in bits 27 to 24, its successor set in bits 23 to 20,
  /// each input, output, read, write. Reserved modes and fields count as a plain fence's.
  var fenceOrdering: Ordering {
    let (earlier, later) = (field(24, 4), field(20, 4))
    let (reads, writes): (UInt32, UInt32) = (0b1010, 0b0101)
    var ordering: Ordering = []
    if earlier & reads != 0 && later != 0 { ordering.insert(.acquire) }
    if earlier != 0 && later & writes != 0 { ordering.insert(.release) }
    if earlier & writes != 0 && later & reads != 0 { ordering.insert(.storeLoad) }
    return ordering
  }
}
