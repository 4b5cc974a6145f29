package import GuestMemory

/// Writes the device's answer, in order.
package struct ChainWriter {
  private var cursor: ChainCursor
  /// Bytes written or passed over so far.
  package private(set) var written = 0

  init(_ slices: [GuestSlice], count: Int) { cursor = ChainCursor(slices, count: count) }

  /// Bytes of room left.
  package var remaining: Int { cursor.remaining }

  /// Writes as much as fits, and returns how many bytes that was.
  @discardableResult
  package mutating func write(_ source: UnsafeRawBufferPointer) -> Int {
    let count = cursor.advance(source.count) { part, done in
      part.copy(from: UnsafeRawBufferPointer(rebasing: source[done...]))
    }
    written += count
    return count
  }

  @discardableResult
  package mutating func write(_ source: [UInt8]) -> Int { source.withUnsafeBytes { write($0) } }

  /// Writes a little-endian integer; false, and nothing is written, when there is no room.
  @discardableResult
  package mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) -> Bool {
    guard remaining >= MemoryLayout<T>.size else { return false }
    withUnsafeBytes(of: value.littleEndian) { _ = write($0) }
    return true
  }

  /// Passes over room without writing to it.
  package mutating func skip(_ count: Int) { written += cursor.advance(count) }

  /// The contiguous parts of the next room, without passing over them.
  package func parts(_ limit: Int = .max) -> [GuestSlice] { cursor.parts(limit) }

  /// Lends the next `count` bytes of room, all of which are filled, as ``withBuffers(_:_:)`` does, without a list; false,
  /// and nothing is done, when they are not in one part.
  package mutating func withBuffer<Failure: Error>(
    _ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    guard let part = cursor.part(count) else { return false }
    part.own()
    // Guest memory stays mapped while a slice is held.
    try body(UnsafeMutableRawBufferPointer(mutating: part.withBytes { $0 }))
    part.withMutableBytes { _ in }
    skip(count)
    return true
  }

  /// Lends the next room, at most `limit` bytes, to a system call that fills it and says how many
  /// bytes it filled; passes over those, and marks them written to the keepers of guest memory.
  @discardableResult
  package mutating func withBuffers<Failure: Error>(
    _ limit: Int = .max, _ body: ([UnsafeMutableRawBufferPointer]) throws(Failure) -> Int
  ) throws(Failure) -> Int {
    let parts = cursor.parts(limit)
    for part in parts { part.own() }
    // Guest memory stays mapped while a slice is held, so the addresses outlive their closures.
    let filled = try body(parts.map { UnsafeMutableRawBufferPointer(mutating: $0.withBytes { $0 }) })
    let count = cursor.advance(filled) { part, _ in part.withMutableBytes { _ in } }
    written += count
    return count
  }
}
