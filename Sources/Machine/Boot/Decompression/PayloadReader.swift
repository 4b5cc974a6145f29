/// Reads a part of a file piece by piece.
final class PayloadReader {
  /// Bytes of a piece.
  private static let pieceSize = 128 << 10

  private let file: BootFile
  /// What has not been read yet.
  private var range: Range<Int>
  private let buffer: UnsafeMutableRawBufferPointer
  /// What has been read and not been consumed, in `buffer`.
  private var unread = 0..<0

  init(_ file: BootFile, range: Range<Int>) {
    self.file = file
    self.range = range
    buffer = .allocate(byteCount: Self.pieceSize, alignment: 64)
  }

  deinit { buffer.deallocate() }

  /// The bytes that come next, good until the next call; none at the end.
  func available() throws(UnpackingError) -> UnsafeRawBufferPointer {
    if unread.isEmpty {
      let count = min(buffer.count, range.count)
      try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
      unread = 0..<count
    }
    return UnsafeRawBufferPointer(rebasing: buffer[unread])
  }

  func consume(_ count: Int) { unread = unread.lowerBound + count..<unread.upperBound }

  /// Bytes that come after those consumed.
  var remaining: Int { unread.count + range.count }

  /// Fills `target` with what comes next, of which there has to be enough. It is not mixed with ``available()``.
  func read(into target: UnsafeMutableRawBufferPointer) throws(UnpackingError) {
    precondition(unread.isEmpty)
    guard target.count <= range.count else { throw .endsEarly }
    do throws(BootError) { try file.read(from: range.lowerBound, into: target) } catch { throw .boot(error) }
    range = range.lowerBound + target.count..<range.upperBound
  }
}
