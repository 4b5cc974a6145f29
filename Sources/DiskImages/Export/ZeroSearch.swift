internal import Glibc

/// Finds what is zero in a piece of a disk.
package enum ZeroSearch {
  /// Bytes: what file systems keep apart.
  static let granularity = 4096

  static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    guard bytes.count > 16 else { return bytes.allSatisfy { $0 == 0 } }
    // Zero at the beginning, and each byte as the one before.
    return bytes[..<16].allSatisfy { $0 == 0 } && memcmp(start, start + 16, bytes.count - 16) == 0
  }

  /// Calls `body` for each run of blocks that are alike, by its place in `bytes`; blocks are counted from a place
  /// of the disk, `offset`.
  package static func runs<Failure: Error>(
    of bytes: UnsafeRawBufferPointer, at offset: UInt64,
    _ body: (_ isZero: Bool, _ range: Range<Int>) throws(Failure) -> Void
  ) throws(Failure) {
    var start = 0
    var position = 0
    var wasZero = false
    while position < bytes.count {
      let inBlock = Int((offset &+ UInt64(position)) % UInt64(granularity))
      let end = min(bytes.count, position + granularity - inBlock)
      let zero = isZero(UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
      if zero != wasZero, position > start {
        try body(wasZero, start..<position)
        start = position
      }
      wasZero = zero
      position = end
    }
    if position > start { try body(wasZero, start..<position) }
  }
}
