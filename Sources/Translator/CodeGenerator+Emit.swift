internal import Assembler

extension CodeGenerator {
  /// Generates one instruction. True if the block ends with it.
  mutating func emit(_ i: Instruction, isLast: Bool) -> Bool {
    if !Self.keepsScratch(i.operation) || i.destination >= 32 || i.b >= 32 { release() }
    switch i.operation {
    case .constant: constant(i, UInt64(bitPattern: i.imm))
    case .addressOf:
      // Planned, it is a constant.
      isMovable = false
      constant(i, pc &+ UInt64(bitPattern: i.imm))
    case .add, .subtract, .and, .or, .xor, .add32, .subtract32: arithmetic(i)
    case .shiftLeft, .shiftRight, .shiftRightArithmetic, .shiftLeft32, .shiftRight32,
      .shiftRightArithmetic32, .rotateLeft, .rotateRight, .rotateLeft32, .rotateRight32:
      shift(i)
    case .setLess, .setLessUnsigned: setLess(i)
    case .multiply, .multiply32: multiply(i)
    case .multiplyHigh, .multiplyHighUnsigned, .multiplyHighSignedUnsigned: multiplyHigh(i)
    case .divide, .divideUnsigned, .remainder, .remainderUnsigned, .divide32, .divideUnsigned32,
      .remainder32, .remainderUnsigned32:
      divide(i)
    case .andNot, .orNot, .xorNot: invertedLogic(i)
    case .minimum, .maximum, .minimumUnsigned, .maximumUnsigned: select(i)
    case .countLeadingZeros, .countTrailingZeros, .countOnes, .countLeadingZeros32,
      .countTrailingZeros32, .countOnes32:
      if features.bitCounts { countBits(i) } else { callOut(i) }
    case .signExtend8, .signExtend16, .zeroExtend16, .reverseBytes: extend(i)
    case .combineBytes: combineBytes(i)
    case .shiftAdd, .shiftAddUnsigned32: shiftAdd(i)
    case .bitSet, .bitClear, .bitInvert, .bitExtract: bit(i)
    case .keepIfNonzero, .keepIfZero: keep(i)

    case .load8: load(i, width: .w8, signed: true)
    case .load16: load(i, width: .w16, signed: true)
    case .load32: load(i, width: .w32, signed: true)
    case .load64:
      if let xmm = xmm(i.destination) { loadFloat(i, xmm) } else { load(i, width: .w64, signed: false) }
    case .load8Unsigned: load(i, width: .w8, signed: false)
    case .load16Unsigned: load(i, width: .w16, signed: false)
    case .load32Unsigned: load(i, width: .w32, signed: false)
    case .loadFloat32:
      if let xmm = xmm(i.destination) {
        loadFloat(i, xmm)
      } else {
        load(i, width: .w32, signed: false, boxed: true)
      }
    case .store8: store(i, width: .w8)
    case .store16: store(i, width: .w16)
    case .store32: if let xmm = xmm(i.b) { storeFloat(i, xmm) } else { store(i, width: .w32) }
    case .store64: if let xmm = xmm(i.b) { storeFloat(i, xmm) } else { store(i, width: .w64) }
    case .fence: fence(i)

    case .branchEqual: branch(i, .e)
    case .branchNotEqual: branch(i, .ne)
    case .branchLess: branch(i, .l)
    case .branchGreaterEqual: branch(i, .ge)
    case .branchLessUnsigned: branch(i, .b)
    case .branchGreaterEqualUnsigned: branch(i, .ae)
    case .jump:
      call(i, to: pc &+ UInt64(bitPattern: i.imm))
      return true
    case .jumpIndirect:
      jumpIndirect(i)
      return true

    case .controlRead: controlRead(i)
    case .controlExchange: controlExchange(i)
    case .interruptsOff: interruptsOff(i)
    case .interruptsOn, .interruptsRestore: interruptsOn(i)
    case .statusExchange, .statusSet, .statusClear: changeStatus(i)

    case .system, .illegal, .refetch:
      callOut(i)
      // What the front end did may have changed anything. It says by where the block ends whether
      // execution can go on here.
      guard i.operation != .system || isLast else {
        floatNoted = false
        boxed = 0
        return false
      }
      leave()
      return true

    case .loadReserved32, .loadReserved64: loadReserved(i)
    case .storeConditional32, .storeConditional64: storeConditional(i)
    case .atomicSwap32, .atomicSwap64, .atomicAdd32, .atomicAdd64, .atomicXor32, .atomicXor64, .atomicAnd32,
      .atomicAnd64, .atomicOr32, .atomicOr64, .atomicMinimum32, .atomicMaximum32, .atomicMinimumUnsigned32,
      .atomicMaximumUnsigned32, .atomicMinimum64, .atomicMaximum64, .atomicMinimumUnsigned64,
      .atomicMaximumUnsigned64:
      atomic(i)
    default: if !emitFloat(i) { callOut(i) }
    }
    return false
  }

  /// Has the front end's interpreter carry out an instruction.
  mutating func callOut(_ i: Instruction) {
    release()
    storePC(scratch: .rax)
    assembler.mov(.w32, .rdx, Int64(firstCalledOut &+ calledOutCount))
    if calledOutCount < calledOutRoom { (calledOut + calledOutCount).initialize(to: i) }
    calledOutCount &+= 1
    call(thunk: thunks.interpret)
    if i.operation != .system { forget(i.destination) } else { knownMask = 0 }
  }

  /// Leaves to the dispatcher at the context's program counter.
  mutating func leave() {
    assembler.mov(.w32, .rax, 0)
    jump(toThunk: thunks.leave)
  }

  /// Whether what is generated for an operation heeds what the scratch registers hold.
  private static func keepsScratch(_ operation: Operation) -> Bool {
    operation.rawValue <= Operation.keepIfZero.rawValue || isAccess(operation) || isBranch(operation)
  }

  /// A load or store of an integer register.
  static func isAccess(_ operation: Operation) -> Bool {
    operation.rawValue >= Operation.load8.rawValue && operation.rawValue <= Operation.store64.rawValue
  }

  static func isBranch(_ operation: Operation) -> Bool {
    operation.rawValue >= Operation.branchEqual.rawValue
      && operation.rawValue <= Operation.branchGreaterEqualUnsigned.rawValue
  }
}
