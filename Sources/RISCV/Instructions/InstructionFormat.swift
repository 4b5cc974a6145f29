/// Where the operands of an encoding are, and which of its bits tell the instruction.
///
/// The letters are the specification's (unprivileged specification, "Base Instruction Formats" and
/// "Compressed Instruction Formats"), divided further where operands come from another register file
/// or have another syntax. An `f` before a register is one of the floating-point file.
package enum InstructionFormat: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  // MARK: 32-bit formats

  /// No operands: every bit is fixed.
  case fixed
  /// rd, rs1, rs2.
  case r
  /// rd, rs1.
  case rUnary
  /// rd, rs1, rs2; the shift amount is the row's `info`.
  case rShiftAdd
  /// rd, rs1, imm.
  case i
  /// rd, imm(rs1).
  case iLoad
  /// frd, imm(rs1).
  case iFloatLoad
  /// rd, rs1, a shift amount of six bits.
  case iShift
  /// rd, rs1, a shift amount of five bits.
  case iShift32
  /// rs2, imm(rs1).
  case s
  /// frs2, imm(rs1).
  case sFloat
  /// rs1, rs2, target.
  case b
  /// rd, imm (the upper 20 bits).
  case u
  /// rd, target.
  case j
  /// Predecessor and successor sets.
  case fence
  /// rd, csr, rs1.
  case csr
  /// rd, csr, imm (five bits in the place of rs1).
  case csrImmediate
  /// rs1, rs2.
  case fenceVMA
  /// (rs1).
  case cacheBlock
  /// imm(rs1), a hint in the space of `ori` without destination.
  case prefetch
  /// rd, rs2, (rs1), with ordering bits.
  case atomic
  /// rd, (rs1), with ordering bits.
  case loadReserved
  /// frd, frs1, frs2, frs3, rounding mode.
  case r4
  /// frd, frs1, frs2, rounding mode.
  case floatRounded
  /// frd, frs1, frs2.
  case float
  /// frd, frs1, rounding mode.
  case floatUnary
  /// frd, frs1, and a rounding mode that makes no difference.
  case floatUnaryExact
  /// rd, frs1, frs2.
  case floatCompare
  /// rd, frs1, rounding mode.
  case floatToInteger
  /// frd, rs1, rounding mode.
  case floatFromInteger
  /// frd, rs1, and a rounding mode that makes no difference.
  case floatFromIntegerExact
  /// rd, frs1.
  case floatMoveToInteger
  /// frd, rs1.
  case floatMoveFromInteger

  // MARK: Compressed formats; a prime marks one of the eight registers from 8 on

  /// No operands: every bit is fixed.
  case cFixed
  /// rd′, sp, unsigned imm, not 0.
  case ciwAddSP
  /// rd′, imm(rs1′), scaled by 4.
  case clWord
  /// rd′, imm(rs1′), scaled by 8.
  case clDouble
  /// frd′, imm(rs1′), scaled by 8.
  case clFloatDouble
  /// rs2′, imm(rs1′), scaled by 4.
  case csWord
  /// rs2′, imm(rs1′), scaled by 8.
  case csDouble
  /// frs2′, imm(rs1′), scaled by 8.
  case csFloatDouble
  /// rd, imm.
  case ci
  /// rd, not 0, imm.
  case ciNotZero
  /// rd, imm, for a load of the immediate.
  case ciLoad
  /// sp, imm, not 0, scaled by 16.
  case ciAddSP
  /// rd, imm (the upper 20 bits), not 0.
  case ciUpper
  /// rd, shift amount.
  case ciShift
  /// rd, not 0, imm(sp), scaled by 4.
  case ciLoadWordSP
  /// rd, not 0, imm(sp), scaled by 8.
  case ciLoadDoubleSP
  /// frd, imm(sp), scaled by 8.
  case ciFloatLoadDoubleSP
  /// rd′, shift amount.
  case cbShift
  /// rd′, imm.
  case cbAnd
  /// rd′, rs2′.
  case ca
  /// target.
  case cj
  /// rs1′, target.
  case cbBranch
  /// rs1, not 0; the link register is the row's `info`.
  case crJump
  /// rd, rs2.
  case crMove
  /// rd, rs2, for an addition to rd.
  case crAdd
  /// rs2, imm(sp), scaled by 4.
  case cssWord
  /// rs2, imm(sp), scaled by 8.
  case cssDouble
  /// frs2, imm(sp), scaled by 8.
  case cssFloatDouble

  /// Whether encodings have 16 bits.
  package var isCompressed: Bool { rawValue >= Self.cFixed.rawValue }

  /// The bits that tell instructions of this format from each other, where the row says nothing else.
  package var mask: UInt32 {
    switch self {
    case .fixed: 0xFFFF_FFFF
    case .r, .rShiftAdd, .float, .floatCompare, .iShift32: 0xFE00_707F
    case .rUnary, .floatMoveToInteger, .floatMoveFromInteger: 0xFFF0_707F
    case .i, .iLoad, .iFloatLoad, .s, .sFloat, .b, .fence, .csr, .csrImmediate: 0x0000_707F
    case .iShift: 0xFC00_707F
    case .u, .j: 0x0000_007F
    case .fenceVMA: 0xFE00_7FFF
    case .cacheBlock: 0xFFF0_7FFF
    case .prefetch: 0x01F0_7FFF
    case .atomic: 0xF800_707F
    case .loadReserved: 0xF9F0_707F
    case .r4: 0x0600_007F
    case .floatRounded: 0xFE00_007F
    case .floatUnary, .floatUnaryExact, .floatToInteger, .floatFromInteger, .floatFromIntegerExact:
      0xFFF0_007F
    case .cFixed: 0xFFFF
    case .ca: 0xFC63
    case .cbShift, .cbAnd: 0xEC03
    case .ciAddSP: 0xEF83
    case .crJump: 0xF07F
    case .crMove, .crAdd: 0xF003
    case .ciwAddSP, .clWord, .clDouble, .clFloatDouble, .csWord, .csDouble, .csFloatDouble, .ci,
      .ciNotZero, .ciLoad, .ciUpper, .ciShift, .ciLoadWordSP, .ciLoadDoubleSP, .ciFloatLoadDoubleSP,
      .cj, .cbBranch, .cssWord, .cssDouble, .cssFloatDouble:
      0xE003
    }
  }
}
