/// How often addresses were reached that have no translation: a counter for a hash of each, which tells
/// code that runs a few times from code that is worth translating. A shared counter only warms sooner.
struct HeatTable: ~Copyable {
  private static let size = 1 << 18
  private let counters: UnsafeMutablePointer<UInt8>

  init() {
    counters = .allocate(capacity: Self.size)
    counters.initialize(repeating: 0, count: Self.size)
  }

  deinit { counters.deallocate() }

  /// Counts a visit and returns how many there were, at most 255.
  @inline(__always) func count(_ pc: UInt64) -> UInt8 {
    let cell = counters + Int(truncatingIfNeeded: ((pc >> 1) ^ (pc >> 19)) & UInt64(Self.size - 1))
    if cell.pointee < .max { cell.pointee += 1 }
    return cell.pointee
  }
}
