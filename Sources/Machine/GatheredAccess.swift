package import HostSystem

/// Consecutive bytes of a disk for buffers that lie apart, as pages of a guest do. An access that passes the host's memory
/// by waits for the disk, so there the buffers are gathered into one, which costs a copy; in the host's memory they are
/// moved one by one.
package enum GatheredAccess {
  /// Bytes of one access at most.
  package static let room = 1 << 20
  /// Bytes of a buffer that is gathered at most.
  private static let small = 16 << 10

  package static func read(
    at offset: UInt64, into targets: [UnsafeMutableRawBufferPointer], gathers: Bool,
    _ read: (UInt64, UnsafeMutableRawBufferPointer) throws(Errno) -> Void
  ) throws(Errno) {
    let counts = targets.map(\.count)
    var position = offset
    var first = 0
    while first < targets.count {
      let (end, count) = batch(counts, from: first, gathers)
      if end == first + 1 {
        try read(position, targets[first])
      } else {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        defer { buffer.deallocate() }
        try read(position, buffer)
        var done = 0
        for target in targets[first..<end] {
          target.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[done..<done + target.count]))
          done += target.count
        }
      }
      position += UInt64(count)
      first = end
    }
  }

  package static func write(
    at offset: UInt64, from sources: [UnsafeRawBufferPointer], gathers: Bool,
    _ write: (UInt64, UnsafeRawBufferPointer) throws(Errno) -> Void
  ) throws(Errno) {
    let counts = sources.map(\.count)
    var position = offset
    var first = 0
    while first < sources.count {
      let (end, count) = batch(counts, from: first, gathers)
      if end == first + 1 {
        try write(position, sources[first])
      } else {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        defer { buffer.deallocate() }
        var done = 0
        for source in sources[first..<end] {
          UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + source.count]).copyMemory(from: source)
          done += source.count
        }
        try write(position, UnsafeRawBufferPointer(buffer))
      }
      position += UInt64(count)
      first = end
    }
  }

  /// The buffers of the next access: where they end, and how many bytes they have.
  private static func batch(_ counts: [Int], from first: Int, _ gathers: Bool) -> (end: Int, count: Int) {
    var (end, count) = (first + 1, counts[first])
    // Of a large piece the copy costs more than the wait.
    while gathers, end < counts.count, counts[first] <= small, counts[end] <= small,
      count <= room - counts[end]
    {
      count += counts[end]
      end += 1
    }
    return (end, count)
  }
}
