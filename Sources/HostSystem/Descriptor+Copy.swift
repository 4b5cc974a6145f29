internal import CHost
internal import Glibc

extension Descriptor {
  /// Bytes that are copied by one call.
  private static let piece: Int64 = 1 << 20
  /// FICLONE (linux/fs.h).
  private static let fileClone: UInt = 0x4004_9409

  /// Copies what a file holds to the same places of this one, which is empty, and leaves its holes. On file systems
  /// that can (FICLONE), both share it until one of them is written.
  package func copyContent(of other: Descriptor) throws(Errno) {
    let argument = UnsafeMutableRawPointer(bitPattern: Int(other.raw))
    if volary_ioctl(raw, Self.fileClone, argument) >= 0 { return }
    let length = try other.size()
    try truncate(to: length)
    var place: Int64 = 0
    while place < length {
      let data = volary_seek_data(other.raw, place)
      // Nothing but a hole up to the end.
      if data == -Int64(ENXIO) { return }
      place = Int64(try check(Int(volary_seek_hole(other.raw, Int64(try check(Int(data)))))))
      try copy(data..<place, of: other)
    }
  }

  private func copy(_ range: Range<Int64>, of other: Descriptor) throws(Errno) {
    var place = range.lowerBound
    while place < range.upperBound {
      let piece = Int(min(Self.piece, range.upperBound - place))
      let count = volary_copy_range(other.raw, raw, place, piece)
      // Not between these file systems, or not on this kernel.
      if [EXDEV, ENOSYS, EOPNOTSUPP, EINVAL].contains(Int32(-count)) {
        return try carry(place..<range.upperBound, of: other)
      }
      place += Int64(try check(Int(count)))
      if count == 0 { return }
    }
  }

  /// As ``copy(_:of:)``, through this process.
  private func carry(_ range: Range<Int64>, of other: Descriptor) throws(Errno) {
    var place = range.lowerBound
    while place < range.upperBound {
      let bytes = try other.read(Int(min(Self.piece, range.upperBound - place)), at: UInt64(place))
      if bytes.isEmpty { return }
      try writeAll(bytes[...], at: UInt64(place))
      place += Int64(bytes.count)
    }
  }

  /// Has what was written reach the host's disk.
  package func synchronize() throws(Errno) { _ = try retrying { Int(fsync(raw)) } }
}
