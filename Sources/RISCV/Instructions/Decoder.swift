package import Translator

/// From encodings to ``Translator/Instruction`` values.
package enum Decoder {
  /// Built once from the ``InstructionTable``.
  static let index = DecoderIndex(
    words: InstructionTable.words, compressed: InstructionTable.compressed)

  /// Decodes the instruction in the low bits of `bits`: sixteen bits when the lowest two are not both
  /// set, else 32.
  ///
  /// Total: what is unknown or reserved becomes `.illegal` with the encoding in `imm`. Hints decode as
  /// the instructions without effect that they are. ``Instruction/reserved`` is the row's place in
  /// its half of the table.
  ///
  /// Registers of the floating-point file are numbered 32 to 63. What the operations of `.system` mean
  /// is in ``SystemOperation``. Floating-point operations that round have the rounding mode in `info`
  /// (7: dynamic) and the encoding in `imm`, for the illegal-instruction exception of a dynamic mode
  /// that is reserved; of a static one that is reserved the decoder makes `.illegal`.
  package static func decode(_ bits: UInt32) -> Instruction {
    index.entry(for: bits).pointee.instruction(bits)
  }
}

/// A row of the table in the form that decoding needs.
struct DecoderEntry: BitwiseCopyable {
  let match: UInt32
  let mask: UInt32
  let format: InstructionFormat
  let operation: Operation
  let info: UInt8
  /// The row's place in its half of the table.
  let row: UInt8

  init(_ row: InstructionRow, place: Int) {
    match = row.match
    mask = row.mask
    format = row.format
    operation = row.operation
    info = row.info
    self.row = UInt8(place)
  }

  /// Matches everything: the end of a bucket.
  init(endOfBucketWith format: InstructionFormat) {
    match = 0
    mask = 0
    self.format = format
    operation = .illegal
    info = 0
    row = 0
  }
}

/// The rows in buckets: those that an encoding may match lie one after another, ended by an entry that
/// matches all.
///
/// Compressed encodings are filed by quadrant and funct3; the others by opcode and funct3, and where
/// that leaves many candidates by funct7 too.
struct DecoderIndex: @unchecked Sendable {  // never written after initialization
  /// Of each opcode (bits 6 to 2): its first bucket, and which bits of funct7 choose further.
  let opcodes: UnsafePointer<(firstBucket: UInt32, funct7Mask: UInt32)>
  /// Where each bucket starts among the entries; first the 24 of compressed encodings.
  let buckets: UnsafePointer<UInt16>
  let entries: UnsafePointer<DecoderEntry>

  /// More candidates than this and an opcode's buckets are divided by funct7.
  private static let crowded = 4

  init(words: [InstructionRow], compressed: [InstructionRow]) {
    precondition(words.count <= 256 && compressed.count <= 256)
    var builder = Builder()
    let small = compressed.enumerated().map { DecoderEntry($1, place: $0) }
    for quadrant in 0..<3 as Range<UInt32> {
      for funct3 in 0..<8 as Range<UInt32> {
        let known = quadrant | funct3 << 13
        builder.addBucket(
          small.filter { ($0.match ^ known) & $0.mask & 0xE003 == 0 },
          end: DecoderEntry(endOfBucketWith: .cFixed))
      }
    }
    let large = words.enumerated().map { DecoderEntry($1, place: $0) }
    var opcodes: [(firstBucket: UInt32, funct7Mask: UInt32)] = []
    for opcode in 0..<32 as Range<UInt32> {
      let candidates = large.filter { ($0.match ^ (opcode << 2 | 3)) & $0.mask & 0x7F == 0 }
      let first = UInt32(builder.buckets.count)
      let perFunct3 = (0..<8 as Range<UInt32>).map { funct3 in
        candidates.filter { ($0.match ^ funct3 << 12) & $0.mask & 0x7000 == 0 }
      }
      let isCrowded = perFunct3.contains { $0.count > Self.crowded }
      for funct7 in 0..<(isCrowded ? 128 : 1) as Range<UInt32> {
        for bucket in perFunct3 {
          builder.addBucket(
            isCrowded
              ? bucket.filter { ($0.match ^ funct7 << 25) & $0.mask & 0xFE00_0000 == 0 } : bucket,
            end: DecoderEntry(endOfBucketWith: .fixed))
        }
      }
      opcodes.append((first, isCrowded ? 0x7F : 0))
    }
    self.opcodes = Self.flatten(opcodes)
    buckets = Self.flatten(builder.buckets)
    entries = Self.flatten(builder.entries)
  }

  /// A copy that lives as long as the program.
  private static func flatten<Element>(_ array: [Element]) -> UnsafePointer<Element> {
    let copy = UnsafeMutablePointer<Element>.allocate(capacity: array.count)
    copy.initialize(from: array, count: array.count)
    return UnsafePointer(copy)
  }

  /// The first row that matches, or an entry whose operation is `.illegal`.
  @inline(always)
  func entry(for bits: UInt32) -> UnsafePointer<DecoderEntry> {
    let bucket: UInt32
    if bits & 3 == 3 {
      let opcode = opcodes[Int((bits &>> 2) & 31)]
      bucket =
        opcode.firstBucket &+ ((bits &>> 12) & 7) &+ (((bits &>> 25) & opcode.funct7Mask) &<< 3)
    } else {
      bucket = ((bits & 3) &<< 3) | ((bits &>> 13) & 7)
    }
    var entry = entries + Int(buckets[Int(bucket)])
    while (bits ^ entry.pointee.match) & entry.pointee.mask != 0 { entry += 1 }
    return entry
  }

  private struct Builder {
    var buckets: [UInt16] = []
    var entries: [DecoderEntry] = []
    /// Buckets with the same rows are one.
    private var known: [[UInt8]: UInt16] = [:]

    mutating func addBucket(_ rows: [DecoderEntry], end: DecoderEntry) {
      // The format of the end, its only variable part, keeps compressed buckets apart.
      let key = [end.format.rawValue] + rows.map(\.row)
      if let start = known[key] {
        buckets.append(start)
      } else {
        let start = UInt16(entries.count)
        known[key] = start
        buckets.append(start)
        entries += rows + [end]
      }
    }
  }
}
