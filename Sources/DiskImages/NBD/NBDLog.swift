/// Changes that a server has answered and that no flush has made durable yet, oldest first, with their bytes.
///
/// The protocol has a flush cover the writes that were answered before it, and those of other connections only where
/// the server says so (NBD_FLAG_CAN_MULTI_CONN); and a server that was killed has lost what it held in memory. So after
/// a lost connection all of these are made again before anything else is, and a flush that is answered then covers
/// them, whatever became of the server. Changes that overlap are never under way together, so this order is the
/// server's. A trim needs none of that: what it leaves is anything.
struct NBDLog {
  /// The bytes of a write, or a range of zeroes.
  final class Change: @unchecked Sendable {  // constant
    let offset: UInt64
    let count: UInt64
    /// Nil: zeroes.
    let bytes: UnsafeRawBufferPointer?
    let mayUnmap: Bool

    init(offset: UInt64, copying bytes: UnsafeRawBufferPointer) {
      self.offset = offset
      count = UInt64(bytes.count)
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
      copy.copyMemory(from: bytes)
      self.bytes = UnsafeRawBufferPointer(copy)
      mayUnmap = false
    }

    init(offset: UInt64, zeroes count: UInt64, mayUnmap: Bool) {
      self.offset = offset
      self.count = count
      bytes = nil
      self.mayUnmap = mayUnmap
    }

    deinit { bytes?.deallocate() }

    /// Bytes of memory, about.
    var weight: Int { (bytes?.count ?? 0) + 128 }
  }

  private(set) var changes: [Change] = []
  /// Of all of them, in bytes of memory.
  private(set) var weight = 0
  /// How many were dropped; with those that are here, how many there have been.
  private var dropped: UInt64 = 0

  var mark: UInt64 { dropped + UInt64(changes.count) }

  mutating func append(_ change: Change) {
    changes.append(change)
    weight += change.weight
  }

  /// Drops what was there when `mark` was read.
  mutating func drop(before mark: UInt64) {
    guard mark > dropped else { return }
    let count = min(Int(mark - dropped), changes.count)
    for change in changes[..<count] { weight -= change.weight }
    changes.removeFirst(count)
    dropped += UInt64(count)
  }
}
