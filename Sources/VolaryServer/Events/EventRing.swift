internal import VolaryAPI

/// The last events, in the order of their ids, bounded in number and in bytes.
struct EventRing {
  struct Entry: Sendable {
    let id: UInt64
    let type: EventType
    let project: String?
    /// The ``EventObject`` as JSON.
    let text: String
  }

  private let capacity: Int
  private let mostBytes: Int
  private var slots: [Entry?] = []
  private let first: UInt64
  private var bytes = 0
  /// The id of the oldest event that is kept, or of the next when none is.
  private(set) var oldest: UInt64
  /// The id of the event that comes next.
  private(set) var next: UInt64

  init(capacity: Int, mostBytes: Int, first: UInt64) {
    self.capacity = capacity
    self.mostBytes = mostBytes
    self.first = first
    oldest = first
    next = first
  }

  /// `entry.id` is ``next``.
  mutating func append(_ entry: Entry) {
    if next - oldest == UInt64(capacity) { dropOldest() }
    let slot = slot(next)
    if slot == slots.count { slots.append(entry) } else { slots[slot] = entry }
    next += 1
    bytes += entry.text.utf8.count
    while bytes > mostBytes, oldest + 1 < next { dropOldest() }
  }

  /// The event with that id, if it is kept.
  subscript(_ id: UInt64) -> Entry? { id >= oldest && id < next ? slots[slot(id)] : nil }

  private func slot(_ id: UInt64) -> Int { Int((id - first) % UInt64(capacity)) }

  private mutating func dropOldest() {
    bytes -= slots[slot(oldest)]?.text.utf8.count ?? 0
    slots[slot(oldest)] = nil
    oldest += 1
  }
}
