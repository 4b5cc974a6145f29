package import GuestMemory

/// Reads what the driver wrote, in order. The guest may change the bytes at any time, so whatever is
/// validated is read once, into a copy.
package struct ChainReader {
  private var cursor: ChainCursor

  init(_ slices: [GuestSlice], count: Int) { cursor = ChainCursor(slices, count: count) }

  /// Bytes not read yet.
  package var remaining: Int { cursor.remaining }

  /// Copies as much as is there and fits, and returns how many bytes that was.
  @discardableResult
  package mutating func read(into target: UnsafeMutableRawBufferPointer) -> Int {
    cursor.advance(target.count) { part, done in
      part.copy(to: UnsafeMutableRawBufferPointer(rebasing: target[done...]))
    }
  }

  /// Reads a little-endian integer; nil, and nothing is read, when fewer bytes remain.
  package mutating func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type = T.self) -> T? {
    guard remaining >= MemoryLayout<T>.size else { return nil }
    var value: T = 0
    withUnsafeMutableBytes(of: &value) { _ = read(into: $0) }
    return T(littleEndian: value)
  }

  /// Passes over bytes, as after ``withBuffers(_:_:)`` lent them.
  package mutating func skip(_ count: Int) { cursor.advance(count) }

  /// The contiguous parts of the next bytes, without passing over them.
  package func parts(_ limit: Int = .max) -> [GuestSlice] { cursor.parts(limit) }

  /// Lends the next `count` bytes as ``withBuffers(_:_:)`` does, without a list; false, and nothing is done, when they are
  /// not in one part.
  package func withBuffer<Failure: Error>(
    _ count: Int, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    guard let part = cursor.part(count) else { return false }
    // Guest memory stays mapped while a slice is held.
    try body(part.withBytes { $0 })
    withExtendedLifetime(part) {}
    return true
  }

  /// Lends the next bytes, at most `limit`, to a system call that writes them elsewhere, without
  /// passing over them.
  package func withBuffers<Result, Failure: Error>(
    _ limit: Int = .max, _ body: ([UnsafeRawBufferPointer]) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let parts = cursor.parts(limit)
    // Guest memory stays mapped while a slice is held, so the addresses outlive their closures.
    let result = try body(parts.map { $0.withBytes { $0 } })
    withExtendedLifetime(parts) {}
    return result
  }
}
