/// The intermediate representation as text: one line an instruction, the same for the same instruction on every
/// host, without the guest's own names.
///
/// | what | how |
/// | --- | --- |
/// | registers | `r0` to `r31` of the integer file, `f0` to `f31` of the other; what is not read or written is left out |
/// | integer operations | `r10 = add r11, r12`, with a constant `r10 = add r11, -8` |
/// | memory | `r5 = load32 [r2+16]`, `store64 [r2-8], r1` |
/// | control flow | `branchLess r1, r2 -> +64`, relative to the own address: `r1 = jump -> -0x100` |
/// | what else matters | in parentheses: `fence (storeLoad)`, `f1 = floatAdd64 f2, f3 (rounding 7)` |
extension Instruction: CustomStringConvertible {
  @usableFromInline package var description: String {
    var text = shape == .store || destination == 0 ? "" : Self.register(destination) + " = "
    text += "\(operation)"
    let operands = operandTexts.joined(separator: ", ")
    if !operands.isEmpty { text += " " + operands }
    if isControlFlow { text += " -> " + Self.signed(imm) }
    let notes = notes.joined(separator: ", ")
    return notes.isEmpty ? text : text + " (\(notes))"
  }

  // MARK: - Operands

  private enum Shape {
    case constant, address, unary, binary, shiftAdd, load, store, atomic, reserve
    case branch, jump, computedJump, fence
    case unaryFloat, binaryFloat, fusedFloat, control, frontEnd
  }

  private var shape: Shape {
    switch operation {
    case .constant: .constant
    case .addressOf: .address
    case .countLeadingZeros, .countTrailingZeros, .countOnes, .countLeadingZeros32, .countTrailingZeros32,
      .countOnes32, .signExtend8, .signExtend16, .zeroExtend16, .reverseBytes, .combineBytes:
      .unary
    case .shiftAdd, .shiftAddUnsigned32: .shiftAdd
    case .load8, .load16, .load32, .load64, .load8Unsigned, .load16Unsigned, .load32Unsigned, .loadFloat32:
      .load
    case .store8, .store16, .store32, .store64: .store
    case .loadReserved32, .loadReserved64: .reserve
    case .branchEqual, .branchNotEqual, .branchLess, .branchGreaterEqual, .branchLessUnsigned,
      .branchGreaterEqualUnsigned:
      .branch
    case .jump: .jump
    case .jumpIndirect: .computedJump
    case .fence: .fence
    case .floatSquareRoot32, .floatSquareRoot64, .floatClassify32, .floatClassify64, .floatMoveToInteger32,
      .floatMoveFromInteger32, .floatMoveToInteger64, .floatMoveFromInteger64:
      .unaryFloat
    case .controlRead, .controlExchange, .interruptsOff, .interruptsOn, .interruptsRestore, .floatReadFlags,
      .floatReadRounding, .floatExchangeFlags:
      .control
    case .system, .refetch, .illegal: .frontEnd
    default: shapeByPlace
    }
  }

  /// Of those that come in long runs of one shape.
  private var shapeByPlace: Shape {
    func isWithin(_ first: Operation, _ last: Operation) -> Bool {
      (first.rawValue...last.rawValue).contains(operation.rawValue)
    }
    if isWithin(.storeConditional32, .atomicMaximumUnsigned64) { return .atomic }
    if isWithin(.floatMultiplyAdd32, .floatNegatedMultiplyAdd64) { return .fusedFloat }
    if isWithin(.floatConvert32To64, .uint64ToFloat64) { return .unaryFloat }
    return isWithin(.floatAdd32, .floatLessEqual64) ? .binaryFloat : .binary
  }

  private var isControlFlow: Bool { shape == .branch || shape == .jump }

  private var operandTexts: [String] {
    switch shape {
    case .constant: [Self.constant(imm)]
    case .address: [Self.signed(imm)]
    case .unary, .unaryFloat: [Self.register(a)]
    case .binary: [Self.register(a), secondOperand]
    case .shiftAdd: [Self.register(a), "\(imm)", Self.register(b)]
    case .load: [memory]
    case .store: [memory, Self.register(b)]
    case .reserve: ["[\(Self.register(a))]"]
    case .atomic: ["[\(Self.register(a))]", Self.register(b)]
    case .branch: [Self.register(a), Self.register(b)]
    case .jump, .fence: []
    case .computedJump: [Self.register(a) + (imm == 0 ? "" : Self.signed(imm))]
    case .binaryFloat: [Self.register(a), Self.register(b)]
    case .fusedFloat: [Self.register(a), Self.register(b), Self.register(c)]
    case .control: controlOperands
    case .frontEnd: a == 0 && b == 0 ? [] : [Self.register(a)] + (b == 0 ? [] : [Self.register(b)])
    }
  }

  /// `b` or `imm`, of which a front end uses one; both, where it uses both.
  private var secondOperand: String {
    if b == 0 { return Self.constant(imm) }
    return Self.register(b) + (imm == 0 ? "" : Self.signed(imm))
  }

  private var memory: String { "[\(Self.register(a))\(imm == 0 ? "" : Self.signed(imm))]" }

  private var controlOperands: [String] {
    switch operation {
    case .controlRead: ["field \(c)"]
    case .controlExchange: ["field \(c)", Self.register(a)]
    case .interruptsRestore, .floatExchangeFlags: [Self.register(a)]
    default: []
    }
  }

  // MARK: - Notes

  private var notes: [String] {
    switch shape {
    case .atomic, .reserve, .fence: return ordering
    case .unaryFloat, .binaryFloat, .fusedFloat: return info == 0 ? [] : ["rounding \(info)"]
    case .frontEnd:
      return [info == 0 ? nil : "info \(info)", imm == 0 ? nil : "imm \(Self.constant(imm))"].compactMap {
        $0
      }
    case .control where operation == .controlExchange && b == 1: return ["lowest bit clear"]
    default: return []
    }
  }

  private var ordering: [String] {
    let set = Ordering(rawValue: info)
    return [(Ordering.acquire, "acquire"), (.release, "release"), (.storeLoad, "storeLoad")]
      .filter { set.contains($0.0) }.map(\.1)
  }

  // MARK: - Numbers

  private static func register(_ number: UInt8) -> String {
    number < 32 ? "r\(number)" : "f\(number - 32)"
  }

  /// Small numbers in decimal, others in hexadecimal.
  private static func constant(_ value: Int64) -> String {
    value.magnitude < 4096 ? "\(value)" : "0x" + String(UInt64(bitPattern: value), radix: 16)
  }

  /// With its sign, as it is added to something.
  private static func signed(_ value: Int64) -> String {
    let digits =
      value.magnitude < 4096 ? "\(value.magnitude)" : "0x" + String(value.magnitude, radix: 16)
    return (value < 0 ? "-" : "+") + digits
  }
}
