/// The fields of an encoding (unprivileged specification, "Immediate Encoding Variants" and
/// "Compressed Instruction Formats").
struct Encoding {
  let bits: UInt32

  init(_ bits: UInt32) { self.bits = bits }

  /// `count` bits from bit `low` on.
  @inline(always)
  func field(_ low: UInt32, _ count: UInt32) -> UInt32 { (bits &>> low) & ((1 &<< count) &- 1) }

  /// `count` bits from bit `low` on, in the place where bit `place` is the lowest.
  @inline(always)
  func piece(_ low: UInt32, _ count: UInt32, at place: UInt32) -> UInt32 { field(low, count) &<< place }

  /// The low `width` bits of `value`, sign-extended.
  @inline(always)
  func signed(_ value: UInt32, _ width: UInt32) -> Int64 {
    Int64(Int32(bitPattern: value &<< (32 &- width)) &>> Int32(truncatingIfNeeded: 32 &- width))
  }

  // MARK: - 32-bit encodings

  var rd: UInt8 { UInt8(truncatingIfNeeded: field(7, 5)) }
  var rs1: UInt8 { UInt8(truncatingIfNeeded: field(15, 5)) }
  var rs2: UInt8 { UInt8(truncatingIfNeeded: field(20, 5)) }
  var rs3: UInt8 { UInt8(truncatingIfNeeded: field(27, 5)) }
  var funct3: UInt8 { UInt8(truncatingIfNeeded: field(12, 3)) }
  var funct7: UInt8 { UInt8(truncatingIfNeeded: field(25, 7)) }
  /// The rounding mode, in the place of funct3.
  var roundingMode: UInt8 { funct3 }
  var csr: UInt32 { field(20, 12) }
  /// Bit 1: acquire, bit 0: release.
  var ordering: UInt8 { UInt8(truncatingIfNeeded: field(25, 2)) }

  var immediateI: Int64 { Int64(Int32(bitPattern: bits) &>> 20) }
  var immediateS: Int64 {
    Int64((Int32(bitPattern: bits) &>> 20) & ~0x1F) | Int64(rd)
  }
  var immediateB: Int64 {
    signed(piece(31, 1, at: 12) | piece(7, 1, at: 11) | piece(25, 6, at: 5) | piece(8, 4, at: 1), 13)
  }
  var immediateU: Int64 { Int64(Int32(bitPattern: bits & 0xFFFF_F000)) }
  var immediateJ: Int64 {
    signed(
      piece(31, 1, at: 20) | piece(12, 8, at: 12) | piece(20, 1, at: 11) | piece(21, 10, at: 1), 21)
  }
  var shiftAmount: Int64 { Int64(field(20, 6)) }

  // MARK: - Compressed encodings

  /// rd′ of CIW and CL, rs2′ of CS and CA.
  var rdLow: UInt8 { UInt8(truncatingIfNeeded: 8 &+ field(2, 3)) }
  /// rs1′, and rd′ of CA and CB.
  var rs1Low: UInt8 { UInt8(truncatingIfNeeded: 8 &+ field(7, 3)) }
  /// rs2 of CR and CSS.
  var rs2Compressed: UInt8 { UInt8(truncatingIfNeeded: field(2, 5)) }

  var immediateCI: Int64 { signed(shiftAmountBits, 6) }
  var shiftAmountCI: Int64 { Int64(shiftAmountBits) }
  var shiftAmountBits: UInt32 { piece(12, 1, at: 5) | field(2, 5) }
  var immediateCIUpper: Int64 { immediateCI &<< 12 }
  var immediateCIAddSP: Int64 {
    signed(
      piece(12, 1, at: 9) | piece(3, 2, at: 7) | piece(5, 1, at: 6) | piece(2, 1, at: 5)
        | piece(6, 1, at: 4), 10)
  }
  var immediateCIWordSP: Int64 {
    Int64(piece(2, 2, at: 6) | piece(12, 1, at: 5) | piece(4, 3, at: 2))
  }
  var immediateCIDoubleSP: Int64 {
    Int64(piece(2, 3, at: 6) | piece(12, 1, at: 5) | piece(5, 2, at: 3))
  }
  var immediateCSSWord: Int64 { Int64(piece(7, 2, at: 6) | piece(9, 4, at: 2)) }
  var immediateCSSDouble: Int64 { Int64(piece(7, 3, at: 6) | piece(10, 3, at: 3)) }
  var immediateCIW: Int64 {
    Int64(piece(7, 4, at: 6) | piece(11, 2, at: 4) | piece(5, 1, at: 3) | piece(6, 1, at: 2))
  }
  var immediateCLWord: Int64 {
    Int64(piece(5, 1, at: 6) | piece(10, 3, at: 3) | piece(6, 1, at: 2))
  }
  var immediateCLDouble: Int64 { Int64(piece(5, 2, at: 6) | piece(10, 3, at: 3)) }
  var immediateCB: Int64 {
    signed(
      piece(12, 1, at: 8) | piece(5, 2, at: 6) | piece(2, 1, at: 5) | piece(10, 2, at: 3)
        | piece(3, 2, at: 1), 9)
  }
  var immediateCJ: Int64 {
    signed(
      piece(12, 1, at: 11) | piece(8, 1, at: 10) | piece(9, 2, at: 8) | piece(6, 1, at: 7)
        | piece(7, 1, at: 6) | piece(2, 1, at: 5) | piece(11, 1, at: 4) | piece(3, 3, at: 1), 12)
  }
}
