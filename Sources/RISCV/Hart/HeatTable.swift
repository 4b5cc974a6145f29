/// How often addresses were reached that have no translation: a counter for a hash of each, which tells
/// code that runs a few times from code that is worth translating. A shared counter only warms sooner.
///
/// What was counted long ago counts less, or else everything would be warm in the end.
struct HeatTable: ~Copyable {
  private static let size = 1 << 18
  /// Visits after which what was counted so far is halved.
  private static let period = 1 << 20
  private let counters: UnsafeMutablePointer<UInt8>
  /// Visits since that was done last.
  private let visits: UnsafeMutablePointer<Int>

  init() {
    visits = .allocate(capacity: 1)
    visits.initialize(to: 0)
    counters = .allocate(capacity: Self.size)
    counters.initialize(repeating: 0, count: Self.size)
  }

  deinit {
    visits.deallocate()
    counters.deallocate()
  }

  /// Counts a visit and returns how many there were, at most 255.
  @inline(__always) func count(_ pc: UInt64) -> UInt8 {
    visits.pointee &+= 1
    if visits.pointee == Self.period { cool() }
    let cell = counters + Int(truncatingIfNeeded: ((pc >> 1) ^ (pc >> 19)) & UInt64(Self.size - 1))
    if cell.pointee < .max { cell.pointee += 1 }
    return cell.pointee
  }

  @inline(never) private func cool() {
    visits.pointee = 0
    for index in 0..<Self.size { counters[index] >>= 1 }
  }
}
