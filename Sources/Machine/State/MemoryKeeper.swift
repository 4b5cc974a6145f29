internal import CHost
internal import Glibc
internal import GuestMemory
internal import HostSystem
internal import Synchronization

/// Writes frozen memory into a file, on a thread of its own, while the guest goes on.
final class MemoryKeeper: Sendable {
  private let isBusy = Atomic(false)

  /// Begins to write what `layers` show, of `size` bytes, into an empty file, in which pages of zeroes become holes.
  /// `whenDone` is called on the writing thread. False when the last file is not written yet.
  func keep(
    _ layers: GuestMemory.Layers, size: Int, in file: Descriptor,
    whenDone: @escaping @Sendable (Errno?) -> Void
  ) throws(Errno) -> Bool {
    guard isBusy.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
    else { return false }
    do throws(Errno) {
      _ = try Thread.start(name: "memory") { [self] in
        let failure: Errno?
        do throws(Errno) {
          try Self.write(layers, size: size, to: file)
          failure = nil
        } catch { failure = error }
        isBusy.store(false, ordering: .releasing)
        whenDone(failure)
      }
    } catch {
      isBusy.store(false, ordering: .releasing)
      throw error
    }
    return true
  }

  private static func write(_ layers: GuestMemory.Layers, size: Int, to file: Descriptor) throws(Errno) {
    try file.truncate(to: 0)
    try file.truncate(to: Int64(size))
    let pages = UnsafeMutableRawBufferPointer.allocate(
      byteCount: 1 << layers.chunkShift, alignment: GuestMemory.pageSize)
    defer { pages.deallocate() }
    for (chunk, source) in layers.sources.enumerated() {
      let start = chunk << layers.chunkShift
      try copy(
        start..<min(size, start + pages.count), from: layers.files[Int(source)], to: file, through: pages)
    }
    try file.synchronize()
  }

  private static func copy(
    _ range: Range<Int>, from source: Descriptor, to file: Descriptor,
    through room: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    var place = range.lowerBound
    while place < range.upperBound {
      let data = volary_seek_data(source.raw, Int64(place))
      if data == -Int64(ENXIO) || data >= Int64(range.upperBound) { return }
      let start = try check(Int(data))
      let end = min(range.upperBound, try check(Int(volary_seek_hole(source.raw, Int64(start)))))
      var done = 0
      while done < end - start {
        let offset = start + done
        let count = try retrying { pread(source.raw, room.baseAddress, end - offset, offset) }
        if count == 0 { throw .io }
        try write(UnsafeRawBufferPointer(rebasing: room[..<count]), at: offset, to: file)
        done += count
      }
      place = end
    }
  }

  /// Writes what is not zero, page by page, and pages side by side at once.
  private static func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, to file: Descriptor
  ) throws(Errno) {
    var first = 0
    while first < bytes.count {
      var end = first
      while end < bytes.count, !bytes.isZero(page: end) { end = min(bytes.count, end + GuestMemory.pageSize) }
      var done = first
      while done < end {
        done += try retrying {
          pwrite(file.raw, bytes.baseAddress.map { $0 + done }, end - done, offset + done)
        }
      }
      first = end + GuestMemory.pageSize
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the page that begins at an offset is zero, as far as it is there.
  fileprivate func isZero(page offset: Int) -> Bool {
    guard let page = baseAddress.map({ $0 + offset }) else { return true }
    let size = Swift.min(GuestMemory.pageSize, count - offset)
    return page.load(as: UInt8.self) == 0 && memcmp(page, page + 1, size - 1) == 0
  }
}
