internal import Translator

/// Decoded instructions by their encodings, direct-mapped: programs are made of few different instructions, and a look
/// here takes a fraction of the time that decoding does.
struct DecodeCache: ~Copyable {
  /// An encoding and what it decodes to.
  struct Entry: BitwiseCopyable {
    var instruction: Instruction
    var bits: UInt32
    /// Whether it needs sstatus.FS to be other than Off.
    var usesFloat: Bool

    init(_ bits: UInt32) {
      instruction = Decoder.decode(bits)
      self.bits = bits
      usesFloat = Hart.usesFloat(instruction)
    }
  }

  private static let count: UInt32 = 4096
  private let entries: UnsafeMutablePointer<Entry>

  init() {
    entries = .allocate(capacity: Int(Self.count))
    entries.initialize(repeating: Entry(0), count: Int(Self.count))
  }

  deinit { entries.deallocate() }

  /// The instruction of an encoding, of which sixteen bits count when the lowest two are not both set; the others must
  /// be zero then.
  @inline(__always)
  func entry(_ bits: UInt32) -> UnsafePointer<Entry> {
    let entry = entries + Int((bits &* 0x9E37_79B1) &>> 20)
    if entry.pointee.bits != bits { decode(bits, entry) }
    return UnsafePointer(entry)
  }

  @inline(never)
  private func decode(_ bits: UInt32, _ entry: UnsafeMutablePointer<Entry>) { entry.pointee = Entry(bits) }
}
