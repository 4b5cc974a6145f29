/// A set of a disk's regions, a bit each, lowest first.
struct MirrorBits: Equatable, Sendable {
  let capacity: Int
  private(set) var count = 0
  private var words: [UInt64]

  init(capacity: Int) {
    self.capacity = capacity
    words = [UInt64](repeating: 0, count: (capacity + 63) / 64)
  }

  /// Reads what anybody may have written: nil if the bytes are too few, or a bit behind the last region is set.
  init?(capacity: Int, bytes: [UInt8]) {
    self.init(capacity: capacity)
    guard bytes.count >= words.count * 8 else { return nil }
    for index in words.indices {
      words[index] = bytes.withUnsafeBytes {
        UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
      count += words[index].nonzeroBitCount
    }
    let rest = capacity % 64
    if rest != 0, let last = words.last, last >> UInt64(rest) != 0 { return nil }
  }

  /// Bytes of ``encoded``, a multiple of 8.
  static func byteCount(capacity: Int) -> Int { (capacity + 63) / 64 * 8 }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(words.count * 8)
    for word in words { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
    return bytes
  }

  var isEmpty: Bool { count == 0 }

  func contains(_ region: Int) -> Bool { words[region / 64] >> UInt64(region % 64) & 1 == 1 }

  func contains(_ regions: ClosedRange<Int>) -> Bool { regions.allSatisfy { contains($0) } }

  /// Whether it was not there.
  @discardableResult
  mutating func insert(_ region: Int) -> Bool {
    guard !contains(region) else { return false }
    words[region / 64] |= 1 << UInt64(region % 64)
    count += 1
    return true
  }

  mutating func remove(_ region: Int) {
    guard contains(region) else { return }
    words[region / 64] &= ~(1 << UInt64(region % 64))
    count -= 1
  }

  mutating func insertAll() {
    for region in 0..<capacity { insert(region) }
  }

  mutating func removeAll() { self = MirrorBits(capacity: capacity) }

  /// Keeps what is in the other set too.
  mutating func formIntersection(_ other: MirrorBits) {
    count = 0
    for index in words.indices {
      words[index] &= other.words[index]
      count += words[index].nonzeroBitCount
    }
  }

  /// The first region from one on, or else the first of all.
  func next(from region: Int) -> Int? {
    guard count > 0 else { return nil }
    let start = region < capacity ? region : 0
    var word = start / 64
    var bits = words[word] & (.max << UInt64(start % 64))
    for _ in 0...words.count {
      if bits != 0 { return word * 64 + bits.trailingZeroBitCount }
      word = word + 1 == words.count ? 0 : word + 1
      bits = words[word]
    }
    return nil
  }
}
