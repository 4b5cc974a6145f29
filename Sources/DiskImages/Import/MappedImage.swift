internal import Glibc
internal import HostSystem

/// Where a stretch of a disk lies in the file of a ``MappedImage``.
struct MappedRun {
  enum Place: Equatable {
    /// Nowhere: it reads as zero.
    case zero
    /// In the file, from this byte on.
    case file(UInt64)
    /// In the file, compressed together with what is around it; ``MappedImage/unpack(_:_:into:)`` reads it.
    case packed(UInt64)
  }

  let place: Place
  /// The disk's byte behind the last.
  let end: UInt64
}

/// An image whose tables say for each block of the disk where it is. It is only read.
protocol MappedImage: DiskImage {
  var source: ImportFile { get }

  /// Where the byte at `offset`, which is inside the disk, and those behind it are; to the end of its block mostly,
  /// and never behind the disk's end.
  func run(at offset: UInt64) throws(Errno) -> MappedRun
  /// Reads from a packed run, which `buffer` does not exceed.
  func unpack(_ place: UInt64, _ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno)
}

/// How many runs are looked at to say what is at one place.
private let mostRuns = 1 << 16

extension MappedImage {
  var isReadOnly: Bool { true }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try checkRange(offset, UInt64(buffer.count))
    let end = offset + UInt64(buffer.count)
    var position = offset
    while position < end {
      let (place, stop) = try joinedRun(at: position, limit: end)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(position - offset)..<Int(stop - offset)])
      switch place {
      case .zero: part.initializeMemory(as: UInt8.self, repeating: 0)
      case .file(let place): try source.read(at: place, into: part)
      case .packed(let place): try unpack(place, position, into: part)
      }
      position = stop
    }
  }

  /// A run with those behind it that go on where it ends, up to `limit`.
  private func joinedRun(at offset: UInt64, limit: UInt64) throws(Errno) -> (MappedRun.Place, UInt64) {
    let first = try run(at: offset)
    var end = min(first.end, limit)
    while end < limit {
      let next = try run(at: end)
      switch (first.place, next.place) {
      case (.zero, .zero): break
      case (.file(let a), .file(let b)) where a &+ (end - offset) == b: break
      default: return (first.place, end)
      }
      end = min(next.end, limit)
    }
    return (first.place, end)
  }

  func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    try checkRange(offset, 1)
    let limit = min(limit, size)
    let first = try run(at: offset)
    let isZero = first.place == .zero
    var end = min(first.end, limit)
    var runs = 1
    while end < limit, runs < mostRuns {
      let next = try run(at: end)
      guard (next.place == .zero) == isZero else { break }
      end = min(next.end, limit)
      runs += 1
    }
    return DiskExtent(isZero ? .zero : .data, end: end)
  }

  func unpack(_ place: UInt64, _ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    throw .io
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    throw Errno(EROFS)
  }
  func flush() throws(Errno) {}
  func discard(at offset: UInt64, count: UInt64) throws(Errno) { throw Errno(EROFS) }
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    throw Errno(EROFS)
  }
}
