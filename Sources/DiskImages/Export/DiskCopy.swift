package import HostSystem

/// Copies a disk's contents, and leaves out what is zero.
package enum DiskCopy {
  package enum Failure: Error, Equatable, Sendable {
    case reading(Errno)
    case writing(Errno)
    case cancelled
  }

  /// Writes all of `source` to `target`, which is at least as large, and finishes it. The source's zero extents are
  /// not read, and blocks of 4 KiB that are zero are not written. Several threads read ahead; the target is
  /// written by the one that calls.
  ///
  /// `progress` is told of the bytes that are done and of all, and says whether to go on.
  package static func run(
    from source: any DiskImage, to target: any ImageWriter,
    progress: (_ done: UInt64, _ total: UInt64) -> Bool = { _, _ in true }
  ) throws(Failure) {
    guard target.size >= source.size else { throw .writing(.invalid) }
    let ahead: ReadAhead
    do {
      ahead = try ReadAhead(source)
    } catch {
      throw .reading(error)
    }
    defer { ahead.stop() }
    while let piece = ahead.next() {
      switch piece.content {
      case .failed(let error): throw .reading(error)
      case .zero: try zero(target, at: piece.offset, count: piece.count)
      case .data(let bytes): try write(bytes, at: piece.offset, to: target)
      }
      ahead.release(piece)
      if !progress(piece.offset + piece.count, source.size) { throw .cancelled }
    }
    do { try target.finish() } catch { throw .writing(error) }
  }

  private static func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, to target: any ImageWriter
  ) throws(Failure) {
    try ZeroSearch.runs(of: bytes, at: offset) { (isZero, range) throws(Failure) in
      let place = offset + UInt64(range.lowerBound)
      if isZero { return try zero(target, at: place, count: UInt64(range.count)) }
      do throws(Errno) {
        try target.write(at: place, from: UnsafeRawBufferPointer(rebasing: bytes[range]))
      } catch {
        throw .writing(error)
      }
    }
  }

  private static func zero(_ target: any ImageWriter, at offset: UInt64, count: UInt64) throws(Failure) {
    do { try target.zero(at: offset, count: count) } catch { throw .writing(error) }
  }
}
