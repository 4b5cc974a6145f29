import RISCV

/// A random program as pieces that can be taken out one by one, so that one which fails can be made small.
struct LockstepProgram {
  /// A few instructions that belong together.
  struct Piece {
    /// How a place in the piece refers to another piece.
    enum Reach { case branch, jump, upper, compressedJump, compressedBranch }
    struct Reference {
      var offset: Int
      var target: Int
      var reach: Reach
    }

    var kind: String
    var bytes: [UInt8]
    /// Other instructions for the twin of the code, of the same length.
    var twin: [UInt8]?
    var references: [Reference] = []
    /// Bytes left empty before it.
    var gap = 0
  }

  var seed: UInt64
  var pieces: [Piece] = []
  /// The piece at which the program is over.
  var last = 0
  /// Where it starts, in bytes from the start of the code.
  var startOffset = 0
  var registers = [UInt64](repeating: 0, count: 64)
  var status: UInt64 = 0
  var interruptEnable: UInt64 = 0
  var floatControl: UInt64 = 0
  /// Whether it starts in user mode.
  var startsAsUser = false
  /// Contents of the data pages and of the page tables.
  var data: [UInt64: [UInt8]] = [:]

  // MARK: - Layout

  /// Where each piece starts, in bytes from the start of the code; nil when it is too long.
  func offsets() -> [Int]? {
    var offset = startOffset
    var offsets: [Int] = []
    for piece in pieces {
      offset += piece.gap
      offsets.append(offset)
      offset += piece.bytes.count
    }
    return offset <= LockstepGuest.codePages * 4096 ? offsets : nil
  }

  /// The code and its twin.
  func codeBytes(_ offsets: [Int]) -> (code: [UInt8], twin: [UInt8]) {
    let size = LockstepGuest.codePages * 4096
    var code = [UInt8](repeating: 0, count: size)
    var twin = code
    for (piece, offset) in zip(pieces, offsets) {
      var bytes = piece.bytes
      for reference in piece.references {
        let distance = Int32(offsets[reference.target] - offset - reference.offset)
        func or(_ bits: UInt32, _ at: Int, _ count: Int) {
          for index in 0..<count { bytes[at + index] |= UInt8(truncatingIfNeeded: bits >> UInt32(8 * index)) }
        }
        switch reference.reach {
        case .branch where (-4096..<4096).contains(distance):
          or(LockstepCode.immediateB(distance), reference.offset, 4)
        case .jump: or(LockstepCode.immediateJ(distance), reference.offset, 4)
        case .upper:
          let high = (distance + 0x800) & ~0xFFF
          or(UInt32(bitPattern: high), reference.offset, 4)
          or(UInt32(bitPattern: (distance - high) << 20), reference.offset + 4, 4)
        case .compressedJump where (-2048..<2048).contains(distance):
          let d = UInt32(bitPattern: distance)
          let fields: [(UInt32, UInt32)] = [
            (11, 12), (4, 11), (9, 10), (8, 9), (10, 8), (6, 7), (7, 6), (3, 5), (2, 4), (1, 3), (5, 2),
          ]
          or(fields.reduce(0) { $0 | (d >> $1.0 & 1) << $1.1 }, reference.offset, 2)
        case .compressedBranch where (-256..<256).contains(distance):
          let d = UInt32(bitPattern: distance)
          let fields: [(UInt32, UInt32)] = [
            (8, 12), (4, 11), (3, 10), (7, 6), (6, 5), (2, 4), (1, 3), (5, 2),
          ]
          or(fields.reduce(0) { $0 | (d >> $1.0 & 1) << $1.1 }, reference.offset, 2)
        case .branch:
          (
            bytes[reference.offset], bytes[reference.offset + 1], bytes[reference.offset + 2],
            bytes[reference.offset + 3]
          ) = (0x13, 0, 0, 0)
        case .compressedJump, .compressedBranch:
          (bytes[reference.offset], bytes[reference.offset + 1]) = (1, 0)
        }
      }
      code.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      twin.replaceSubrange(offset..<offset + bytes.count, with: piece.twin ?? bytes)
    }
    return (code, twin)
  }

  /// The program with some pieces made of instructions that do nothing.
  func without(_ removed: Set<Int>) -> LockstepProgram {
    var program = self
    for index in removed where index != last {
      let count = pieces[index].bytes.count / 2
      program.pieces[index].bytes = (0..<count).flatMap { _ in [1, 0] as [UInt8] }
      program.pieces[index].twin = nil
      program.pieces[index].references = []
      program.pieces[index].kind = "-"
    }
    return program
  }

  /// Everything in memory at the start, by page address.
  func image(_ offsets: [Int]) -> [UInt64: [UInt8]] {
    var image = data
    func put(_ bytes: [UInt8], at address: UInt64) {
      let offset = Int(address & 0xFFF)
      image[address & ~0xFFF, default: [UInt8](repeating: 0, count: 4096)]
        .replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
    put(LockstepGuest.handlerCode, at: LockstepGuest.handler)
    put(LockstepGuest.startCode, at: LockstepGuest.start)
    let code = codeBytes(offsets)
    for page in 0..<LockstepGuest.codePages {
      let range = page << 12..<(page + 1) << 12
      image[LockstepGuest.code + UInt64(page) << 12] = Array(code.code[range])
      image[LockstepGuest.twin + UInt64(page) << 12] = Array(code.twin[range])
    }
    var words = [UInt64](repeating: 0, count: 512)
    let window = startsAsUser ? LockstepGuest.userCode : LockstepGuest.supervisorCode
    words.replaceSubrange(
      0..<7,
      with: [
        LockstepGuest.satp(0), LockstepGuest.handler, LockstepGuest.scratch, status,
        window + UInt64(offsets[0]),
        interruptEnable, floatControl,
      ])
    for register in 0..<32 {
      words[32 + register] = registers[register]
      words[64 + register] = registers[32 + register]
    }
    image[LockstepGuest.parameters] = words.withUnsafeBytes { [UInt8]($0) }
    var scratch = [UInt8](repeating: 0, count: 4096)
    for index in 0..<8 {
      scratch[24 + index] = UInt8(truncatingIfNeeded: LockstepGuest.satp(0) >> UInt64(8 * index))
    }
    image[LockstepGuest.scratch] = scratch
    return image
  }

  /// Whether a program counter is in the last piece, in either window and wherever that is seen.
  static func isIn(_ address: UInt64, _ offset: Int, count: Int) -> Bool {
    let pc = LockstepGuest.aliases.contains(address >> 30) ? address & 0x3FFF_FFFF | 1 << 30 : address
    guard pc >> 21 == LockstepGuest.userCode >> 21 || pc >> 21 == LockstepGuest.supervisorCode >> 21 else {
      return false
    }
    let place = Int(pc & LockstepGuest.windowMask)
    return place >= offset && place < offset + count
  }

  /// The pieces that do something, disassembled.
  func listing(_ offsets: [Int]) -> String {
    let code = codeBytes(offsets).code
    var lines: [String] = []
    for (index, piece) in pieces.enumerated() where piece.kind != "-" {
      lines.append("; \(index) \(piece.kind)")
      var offset = offsets[index]
      while offset < offsets[index] + piece.bytes.count {
        let low = UInt32(code[offset]) | UInt32(code[offset + 1]) << 8
        let length = low & 3 == 3 ? 4 : 2
        let bits =
          length == 4 && offset + 4 <= code.count
          ? low | UInt32(code[offset + 2]) << 16 | UInt32(code[offset + 3]) << 24 : low
        let text = Disassembler.text(bits, at: LockstepGuest.supervisorCode + UInt64(offset))
        lines.append("  0x\(String(offset, radix: 16)): \(text.replacing("\t", with: " "))")
        offset += length
      }
    }
    return lines.joined(separator: "\n")
  }
}
