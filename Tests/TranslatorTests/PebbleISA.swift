import Translator

/// Pebble, a guest architecture for these tests alone, as unlike real ones as the translator should allow:
/// sixteen registers none of which is zero, instructions of four or eight bytes that may lie on two pages, big-endian
/// words, no privilege, a frame register that every access is relative to, numbers with a point in the same registers
/// as others, and output by an instruction. Its programs go through every part of the translator.
///
/// | bytes | |
/// | --- | --- |
/// | 0 | operation |
/// | 1 | d and a, four bits each |
/// | 2 | b (low four bits) |
/// | 3 | signed displacement or amount |
/// | 4–7 | a signed literal, big-endian, of `literal`, `jump`, `call` and branches (from the own address) |
enum Pebble {
  enum Operation: UInt8, CaseIterable {
    case halt, nothing, literal, move, add, subtract, multiply, divide, rest, and, or, exclusiveOr, not
    case shiftLeft, shiftRight, shiftRightSigned, addShort, less, smaller, larger, countBits, swapBytes
    case load8, load32, load64, store8, store32, store64
    case jumpEqual, jumpNotEqual, jumpLess, jump, call, jumpTo, frame, output, fault
    /// Puts b where d comes from, at once for all who look; waits until stores are seen.
    case exchange, barrier
    /// Adds numbers with a point (IEEE 754 double).
    case addReal
    /// A register of the machine's own: read, and exchanged with a.
    case note, takeNote
    /// The machine's status in d, and its third bit off or on.
    case mask, unmask

    var hasLiteral: Bool {
      switch self {
      case .literal, .jumpEqual, .jumpNotEqual, .jumpLess, .jump, .call: true
      default: false
      }
    }
  }

  /// Bytes of memory: a power of two, and a page multiple.
  static let memorySize = 1 << 16
  /// The register that `call` leaves the return address in.
  static let link = 14

  /// One instruction's fields.
  struct Word {
    var operation: Operation
    var d = 0
    var a = 0
    var b = 0
    var short: Int8 = 0
    var literal: Int32 = 0

    var length: Int { operation.hasLiteral ? 8 : 4 }

    var bytes: [UInt8] {
      var bytes = [operation.rawValue, UInt8(d << 4 | a), UInt8(b), UInt8(bitPattern: short)]
      if operation.hasLiteral { bytes += (0..<4).map { UInt8(truncatingIfNeeded: literal >> (24 - 8 * $0)) } }
      return bytes
    }

    /// Reads the instruction at `offset` of a page; nil when it is none or reaches over the page's end, or that
    /// of all memory.
    init?(_ page: UnsafeRawPointer, _ offset: Int, end: Int = 4096) {
      guard let operation = Operation(rawValue: page.load(fromByteOffset: offset, as: UInt8.self)) else {
        return nil
      }
      self.operation = operation
      guard offset + length <= end else { return nil }
      func byte(_ index: Int) -> UInt8 { page.load(fromByteOffset: offset + index, as: UInt8.self) }
      (d, a, b) = (Int(byte(1) >> 4), Int(byte(1) & 15), Int(byte(2) & 15))
      short = Int8(bitPattern: byte(3))
      if operation.hasLiteral { literal = (4..<8).reduce(0) { $0 << 8 | Int32(byte($1)) } }
    }

    init(
      _ operation: Operation, d: Int = 0, a: Int = 0, b: Int = 0, short: Int8 = 0, literal: Int32 = 0
    ) {
      (self.operation, self.d, self.a, self.b, self.short, self.literal) = (
        operation, d, a, b, short, literal
      )
    }
  }
}

extension Pebble {
  /// The sum of two numbers with a point; what is none is always the same one.
  static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let sum = Double(bitPattern: a) + Double(bitPattern: b)
    return sum.isNaN ? 0x7FF8_0000_0000_0000 : sum.bitPattern
  }
}

// MARK: - Lifting

/// From Pebble to the intermediate representation: its registers are 1 to 16 there, its frame is 17, and 20, 21, 33
/// and 34 are for what lies between two operations of one instruction.
final class PebbleLifter: BlockLifter {
  static let architecture = GuestArchitecture(
    pins: [1, 2, 3, 4, 15, 17, 5, 6, 7, 8], floatPins: [33], linkRegisters: [register(Pebble.link)],
    controlFields: [note],
    status: StatusFields(
      status: status, writable: 1 << 3, interruptEnable: 3, pending: status + 8, enabled: status + 16,
      permitUserMemory: 30, viewWithout: status + 24, viewWith: status + 24, floatState: 0, summary: 63,
      floatMatters: status + 32, unusual: 0),
    blockLimit: 40)
  /// Fields of the machine's own in the context's upper half.
  static let note = ContextLayout.frontEnd + 8
  static let status = ContextLayout.frontEnd + 16
  static let frame: UInt8 = 17
  static let temporary: UInt8 = 20
  static func register(_ number: Int) -> UInt8 { UInt8(number + 1) }

  func lift(
    pc: UInt64, page: UnsafeRawPointer, key: UInt64, into buffer: UnsafeMutablePointer<Instruction>,
    room: Int
  ) -> Int {
    var offset = Int(pc & 0xFFF)
    var count = 0
    while offset < 4096 {
      guard let word = Pebble.Word(page, offset) else {
        // Not an instruction, or cut in two by the page's end: the CPU sees to it.
        break
      }
      let (lifted, ends) = Self.lift(word)
      guard count + lifted.count <= room else { break }
      for var instruction in lifted.dropLast() {
        // Only the last operation of an instruction takes its bytes.
        instruction.length = 0
        buffer[count] = instruction
        count += 1
      }
      if var last = lifted.last {
        last.length = UInt8(word.length)
        buffer[count] = last
        count += 1
      }
      offset += word.length
      if ends { break }
    }
    return count
  }

  /// An instruction of eight bytes, which is one operation.
  static func instruction(_ word: Pebble.Word) -> Instruction {
    var instruction = lift(word).0[0]
    instruction.length = UInt8(word.length)
    return instruction
  }

  /// The operations of one instruction, and whether the block ends with it.
  private static func lift(_ word: Pebble.Word) -> ([Instruction], ends: Bool) {
    let (d, a, b) = (register(word.d), register(word.a), register(word.b))
    let short = Int64(word.short)
    let literal = Int64(word.literal)
    func plain(_ operation: Operation) -> ([Instruction], ends: Bool) {
      ([Instruction(operation, destination: d, a: a, b: b)], false)
    }
    /// An access at frame + a + short.
    func access(_ operations: [Instruction]) -> ([Instruction], ends: Bool) {
      ([Instruction(.add, destination: temporary, a: frame, b: a)] + operations, false)
    }
    switch word.operation {
    case .halt, .frame, .output, .fault:
      return ([Instruction(.system, a: a, info: word.operation.rawValue)], true)
    case .nothing: return ([Instruction(.add, imm: 0)], false)
    case .literal: return ([Instruction(.constant, destination: d, imm: literal)], false)
    case .move: return ([Instruction(.or, destination: d, a: a)], false)
    case .add: return plain(.add)
    case .subtract: return plain(.subtract)
    case .multiply: return plain(.multiply)
    case .divide: return plain(.divideUnsigned)
    case .rest: return plain(.remainderUnsigned)
    case .and: return plain(.and)
    case .or: return plain(.or)
    case .exclusiveOr: return plain(.xor)
    case .not: return ([Instruction(.xor, destination: d, a: a, imm: -1)], false)
    case .shiftLeft: return plain(.shiftLeft)
    case .shiftRight: return plain(.shiftRight)
    case .shiftRightSigned: return plain(.shiftRightArithmetic)
    case .addShort: return ([Instruction(.add, destination: d, a: a, imm: short)], false)
    case .less: return plain(.setLess)
    case .smaller: return plain(.minimumUnsigned)
    case .larger: return plain(.maximumUnsigned)
    case .countBits: return ([Instruction(.countOnes, destination: d, a: a)], false)
    case .swapBytes: return ([Instruction(.reverseBytes, destination: d, a: a)], false)
    case .load8: return access([Instruction(.load8Unsigned, destination: d, a: temporary, imm: short)])
    case .load32:
      return access([
        Instruction(.load32Unsigned, destination: d, a: temporary, imm: short),
        Instruction(.reverseBytes, destination: d, a: d),
        Instruction(.shiftRightArithmetic, destination: d, a: d, imm: 32),
      ])
    case .load64:
      return access([
        Instruction(.load64, destination: d, a: temporary, imm: short),
        Instruction(.reverseBytes, destination: d, a: d),
      ])
    case .store8: return access([Instruction(.store8, a: temporary, b: d, imm: short)])
    case .store32:
      return access([
        Instruction(.reverseBytes, destination: 21, a: d),
        Instruction(.shiftRight, destination: 21, a: 21, imm: 32),
        Instruction(.store32, a: temporary, b: 21, imm: short),
      ])
    case .store64:
      return access([
        Instruction(.reverseBytes, destination: 21, a: d),
        Instruction(.store64, a: temporary, b: 21, imm: short),
      ])
    case .exchange:
      return access([
        Instruction(.add, destination: temporary, a: temporary, imm: short),
        Instruction(.reverseBytes, destination: 21, a: b),
        Instruction(.atomicSwap64, destination: d, a: temporary, b: 21),
        Instruction(.reverseBytes, destination: d, a: d),
      ])
    case .barrier: return ([Instruction(.fence, info: Ordering.storeLoad.rawValue)], false)
    case .addReal:
      return (
        [
          Instruction(.floatMoveFromInteger64, destination: 33, a: a),
          Instruction(.floatMoveFromInteger64, destination: 34, a: b),
          // Rounded as the machine is set.
          Instruction(.floatAdd64, destination: 33, a: 33, b: 34, info: 7),
          Instruction(.floatMoveToInteger64, destination: d, a: 33),
        ], false
      )
    case .note: return ([Instruction(.controlRead, destination: d)], false)
    case .takeNote: return ([Instruction(.controlExchange, destination: d, a: a)], false)
    case .mask: return ([Instruction(.interruptsOff, destination: d, info: word.operation.rawValue)], false)
    case .unmask: return ([Instruction(.interruptsOn, info: word.operation.rawValue)], false)
    case .jumpEqual: return ([Instruction(.branchEqual, a: d, b: a, imm: literal)], false)
    case .jumpNotEqual: return ([Instruction(.branchNotEqual, a: d, b: a, imm: literal)], false)
    case .jumpLess: return ([Instruction(.branchLess, a: d, b: a, imm: literal)], false)
    case .jump: return ([Instruction(.jump, imm: literal)], true)
    case .call: return ([Instruction(.jump, destination: register(Pebble.link), imm: literal)], true)
    case .jumpTo: return ([Instruction(.jumpIndirect, a: a, imm: 0)], true)
    }
  }
}
