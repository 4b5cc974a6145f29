/// How often code was reached that has no translation: a counter for a hash of each place in memory, which tells
/// code that runs a few times from code that is worth translating. A shared counter only warms sooner. Places are
/// those of the memory file, so that a library is warm for the second program that uses it.
struct HeatTable: ~Copyable {
  private static let size = 1 << 18
  private let counters: UnsafeMutablePointer<UInt8>

  init() {
    counters = .allocate(capacity: Self.size)
    counters.initialize(repeating: 0, count: Self.size)
  }

  deinit { counters.deallocate() }

  /// Counts a visit to an offset in a page of the memory file and returns how many there were, at most 255.
  @inline(__always) func count(page: Int, offset: UInt64) -> UInt8 {
    let place = UInt64(truncatingIfNeeded: page) &<< 11 | offset &>> 1
    let cell = counters + Int(truncatingIfNeeded: (place ^ place &>> 18) & UInt64(Self.size - 1))
    if cell.pointee < .max { cell.pointee += 1 }
    return cell.pointee
  }
}
