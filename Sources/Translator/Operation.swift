/// What an instruction of the intermediate representation does.
///
/// The vocabulary is guest-neutral: a front end says in these words what its own instructions mean,
/// and the reference interpreter, constant folding and code generation read the same words. Register
/// operands are 64-bit; `a`, `b`, `c` are the instruction's operands, `imm` its immediate. Unless said
/// otherwise the second operand of an integer operation is `b + imm`, of which a front end uses one.
@usableFromInline package enum Operation: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  // MARK: Integer arithmetic and logic

  /// `imm`.
  case constant
  /// The instruction's own address `+ imm`.
  case addressOf
  case add, subtract, and, or, xor
  /// Shifts by the second operand modulo 64.
  case shiftLeft, shiftRight, shiftRightArithmetic
  /// The low 32 bits of the result, sign-extended; shifts take the amount modulo 32 and shift `a`'s
  /// low 32 bits.
  case add32, subtract32, shiftLeft32, shiftRight32, shiftRightArithmetic32
  /// 1 if `a` is less than the second operand, else 0.
  case setLess, setLessUnsigned
  case multiply, multiplyHigh, multiplyHighUnsigned
  /// The high half of signed `a` times unsigned `b`.
  case multiplyHighSignedUnsigned
  case multiply32
  /// Division never traps: by zero the quotient is all ones and the remainder `a`; the signed
  /// overflow gives `a` and 0.
  case divide, divideUnsigned, remainder, remainderUnsigned
  case divide32, divideUnsigned32, remainder32, remainderUnsigned32

  // MARK: Bit manipulation

  case andNot, orNot, xorNot
  case minimum, maximum, minimumUnsigned, maximumUnsigned
  case rotateLeft, rotateRight, rotateLeft32, rotateRight32
  /// Of zero: the width.
  case countLeadingZeros, countTrailingZeros, countOnes
  case countLeadingZeros32, countTrailingZeros32, countOnes32
  case signExtend8, signExtend16, zeroExtend16
  /// Reverses the eight bytes.
  case reverseBytes
  /// Each byte becomes 0xFF if it has a set bit, else 0.
  case combineBytes
  /// Shifts `a` left by `imm` (0 to 63), then adds `b`.
  case shiftAdd
  /// As ``shiftAdd`` with `a` zero-extended from 32 bits first.
  case shiftAddUnsigned32
  /// Acts on the bit whose number is the second operand modulo 64.
  case bitSet, bitClear, bitInvert, bitExtract
  /// `a` if `b` is not zero, else 0; and the reverse.
  case keepIfNonzero, keepIfZero

  // MARK: Memory, at address `a + imm`, little-endian

  case load8, load16, load32, load64
  case load8Unsigned, load16Unsigned, load32Unsigned
  /// Loads 32 bits into a floating-point register, the upper half all ones.
  case loadFloat32
  /// Store the low bits of `b`.
  case store8, store16, store32, store64

  // MARK: Atomics, at address `a`, naturally aligned or trapped; `info` holds ``Ordering`` bits

  case loadReserved32, loadReserved64
  /// Store `b` if the reservation holds; 0 in the destination on success, 1 on failure.
  case storeConditional32, storeConditional64
  /// Read-modify-write: the old value, sign-extended, in the destination.
  case atomicSwap32, atomicAdd32, atomicXor32, atomicAnd32, atomicOr32
  case atomicMinimum32, atomicMaximum32, atomicMinimumUnsigned32, atomicMaximumUnsigned32
  case atomicSwap64, atomicAdd64, atomicXor64, atomicAnd64, atomicOr64
  case atomicMinimum64, atomicMaximum64, atomicMinimumUnsigned64, atomicMaximumUnsigned64
  /// Orders memory accesses as `info`'s ``Ordering`` bits say.
  case fence

  // MARK: Control flow

  /// Goes to the instruction's own address `+ imm` if the comparison of `a` and `b` holds.
  case branchEqual, branchNotEqual, branchLess, branchGreaterEqual
  case branchLessUnsigned, branchGreaterEqualUnsigned
  /// Puts the next instruction's address in the destination and goes to the own address `+ imm`.
  case jump
  /// Puts the next instruction's address in the destination and goes to `a + imm`, bit 0 cleared.
  case jumpIndirect

  // MARK: Floating point, IEEE 754, in registers of the floating-point file
  //
  // Exceptions accumulate in the guest's flags. `info` is the rounding mode. 32-bit values are kept
  // with the upper half all ones; an operand that is not counts as the canonical NaN.

  case floatAdd32, floatSubtract32, floatMultiply32, floatDivide32, floatSquareRoot32
  case floatAdd64, floatSubtract64, floatMultiply64, floatDivide64, floatSquareRoot64
  /// `a × b + c`, rounded once; then the variants with the product, the addend or both negated.
  case floatMultiplyAdd32, floatMultiplySubtract32, floatNegatedMultiplySubtract32, floatNegatedMultiplyAdd32
  case floatMultiplyAdd64, floatMultiplySubtract64, floatNegatedMultiplySubtract64, floatNegatedMultiplyAdd64
  /// `a` with `b`'s sign, its inverse, or the exclusive or of both signs.
  case floatCopySign32, floatCopyNegatedSign32, floatXorSign32
  case floatCopySign64, floatCopyNegatedSign64, floatXorSign64
  case floatMinimum32, floatMaximum32, floatMinimum64, floatMaximum64
  /// Comparisons into an integer register; only equality is quiet.
  case floatEqual32, floatLess32, floatLessEqual32
  case floatEqual64, floatLess64, floatLessEqual64
  case floatClassify32, floatClassify64
  /// Bits from a floating-point register to an integer register (sign-extended) and back.
  case floatMoveToInteger32, floatMoveFromInteger32, floatMoveToInteger64, floatMoveFromInteger64
  case floatConvert32To64, floatConvert64To32
  /// To integers, saturating, NaN to the maximum; 32-bit results sign-extended.
  case float32ToInt32, float32ToUInt32, float32ToInt64, float32ToUInt64
  case float64ToInt32, float64ToUInt32, float64ToInt64, float64ToUInt64
  case int32ToFloat32, uint32ToFloat32, int64ToFloat32, uint64ToFloat32
  case int32ToFloat64, uint32ToFloat64, int64ToFloat64, uint64ToFloat64

  // MARK: Floating-point control, only in blocks that use floating point (``BlockKeyBit/usesFloat``)

  /// The accumulated exception flags, or the dynamic rounding mode, in an integer register.
  case floatReadFlags, floatReadRounding
  /// The accumulated exception flags in the destination; they become the low five bits of `a`.
  case floatExchangeFlags

  // MARK: Control registers, only in blocks; `info` and `imm` stay the front end's, who carries the instruction
  // out as ``system`` where the way in line does not lead on

  /// A control field of the context (``GuestArchitecture/controlFields``, number `c`) in the destination.
  case controlRead
  /// A control field becomes `a`, without its lowest bit if `b` is 1; the old value in the destination.
  case controlExchange
  /// The status field in the destination, then interrupts off in it.
  case interruptsOff
  /// Interrupts on, or on if `a` says so and nothing else: unless one is pending.
  case interruptsOn, interruptsRestore
  /// The status field in the destination; it becomes `a`, or gets the bits of `a` set or cleared.
  case statusExchange, statusSet, statusClear

  // MARK: The front end's own

  /// Carried out by the front end, which may change any guest state; `info` and `imm` are its own.
  /// Execution goes on after it only if the front end says so in the block.
  case system
  /// The instruction at the program counter, whatever it is by now; then generated code is left.
  case refetch
  /// No instruction: raises the guest's illegal-instruction exception.
  case illegal
}

/// Ordering constraints of an atomic operation or fence, in ``Instruction/info``.
@usableFromInline package struct Ordering: OptionSet, Sendable {
  @usableFromInline package let rawValue: UInt8
  @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }
  @inlinable package static var acquire: Ordering { Ordering(rawValue: 1) }
  @inlinable package static var release: Ordering { Ordering(rawValue: 2) }
  /// Of a fence: earlier stores become visible before later loads, the one order that a host with
  /// total store ordering does not give by itself.
  @inlinable package static var storeLoad: Ordering { Ordering(rawValue: 4) }
}
