internal import CHost
internal import Glibc
package import HostSystem
internal import Synchronization

/// What the host's memory does for a file.
package enum HostCaching: Sendable {
  /// Contents are kept there, and written until a sync ends.
  case usual
  /// Contents pass it by (O_DIRECT), if the file system takes whole sectors so; else ``usual``.
  case direct
  /// Nothing waits for the host's disk: a sync is nothing.
  case unsynced
}

/// A regular file, memory file or block device of the host, locked against other machines.
package final class HostFile: ImageFile {
  package let name: String
  package let isReadOnly: Bool
  private let descriptor: Descriptor
  private let caching: HostCaching
  /// fdatasync(2).
  private let synchronise: @Sendable (Int32) -> Int32
  /// Where accesses go through that are no whole sectors, if it matters.
  private let detour: DirectDetour?
  /// The error number of the first ``sync()`` that failed, 0 before.
  private let syncFailure = Atomic<Int32>(0)

  /// Takes a descriptor that somebody opened, and a lock on its file for as long as the descriptor
  /// lives: shared to read, exclusive to write. The lock is one of the open file description (fcntl(2),
  /// F_OFD_SETLK) over the whole file, so it stands against QEMU's locks too. `name` is for messages.
  package init(
    _ descriptor: Descriptor, name: String, readOnly: Bool, caching: HostCaching = .usual,
    synchronise: @escaping @Sendable (Int32) -> Int32 = { fdatasync($0) }
  ) throws(DiskImageError) {
    self.name = name
    self.caching = caching
    self.synchronise = synchronise
    self.descriptor = descriptor
    isReadOnly = readOnly
    var status = stat()
    guard fstat(descriptor.raw, &status) == 0 else {
      throw .system(name: name, operation: "examine", Errno(errno))
    }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG || kind == S_IFBLK else { throw .notAFile(name: name) }
    let flags = volary_fcntl(descriptor.raw, F_GETFL, 0)
    guard readOnly || flags & O_ACCMODE == O_RDWR else { throw .notOpenForWriting(name: name) }
    do throws(Errno) {
      try descriptor.lock(exclusive: !readOnly)
    } catch {
      if error.isOfAnotherLock { throw .inUse(name: name, readOnly: readOnly) }
      throw .system(name: name, operation: "lock", error)
    }
    do {
      detour = caching == .direct ? try DirectDetour(descriptor) : nil
    } catch {
      throw .system(name: name, operation: "get memory for", error)
    }
  }

  /// Whether contents pass the host's memory by.
  package var isDirect: Bool { detour != nil }

  package func size() throws(Errno) -> UInt64 {
    // fstat(2) knows no block device's size; seeking knows both, and nobody here uses the position.
    UInt64(try retrying { lseek(descriptor.raw, 0, SEEK_END) })
  }

  package func resize(to size: UInt64) throws(Errno) {
    try descriptor.truncate(to: Int64(clamping: size))
  }

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    if let detour, !DirectDetour.isAligned(offset, UnsafeRawBufferPointer(buffer)) {
      return try detour.read(at: offset, into: buffer)
    }
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let position = off_t(truncatingIfNeeded: offset &+ UInt64(done))
      let count = try retrying { pread(descriptor.raw, rest.baseAddress, rest.count, position) }
      if count == 0 { throw .io }
      done += count
    }
  }

  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    if let detour, !DirectDetour.isAligned(offset, buffer) {
      return try detour.write(at: offset, from: buffer)
    }
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      let position = off_t(truncatingIfNeeded: offset &+ UInt64(done))
      done += try retrying { pwrite(descriptor.raw, rest.baseAddress, rest.count, position) }
    }
  }

  package func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool {
    try fallocated(volary_punch_hole, offset, count)
  }

  package func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool {
    try fallocated(volary_zero_range, offset, count)
  }

  private func fallocated(
    _ operation: (Int32, Int64, Int64) -> Int32, _ offset: UInt64, _ count: UInt64
  ) throws(Errno) -> Bool {
    while true {
      switch operation(descriptor.raw, Int64(truncatingIfNeeded: offset), Int64(truncatingIfNeeded: count)) {
      case 0...: return true
      case -EINTR: continue
      // EINVAL: a block device whose own blocks are larger than the range's alignment.
      case -EOPNOTSUPP, -ENOSYS, -EINVAL, -ENODEV: return false
      case let failure: throw Errno(-failure)
      }
    }
  }

  /// By lseek(2), SEEK_DATA and SEEK_HOLE. What cannot say it, such as a block device, has bytes.
  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    let data = volary_seek_data(descriptor.raw, Int64(clamping: offset))
    if data == -Int64(ENXIO) { return DiskExtent(.zero, end: limit) }
    if data > Int64(clamping: offset) { return DiskExtent(.zero, end: min(UInt64(data), limit)) }
    let hole = volary_seek_hole(descriptor.raw, Int64(clamping: offset))
    return DiskExtent(.data, end: hole > Int64(clamping: offset) ? min(UInt64(hole), limit) : limit)
  }

  /// fdatasync(2). Once it failed it fails for ever: the kernel reports lost pages only once, so a
  /// later success would vouch for data that is gone. That goes for want of room too, which is EIO here: it is no
  /// use to make room and try again.
  package func sync() throws(Errno) {
    if caching == .unsynced { return }
    let earlier = syncFailure.load(ordering: .acquiring)
    guard earlier == 0 else { throw Errno(earlier) }
    do {
      try retrying { Int(synchronise(descriptor.raw)) }
    } catch {
      let failure = error.isWantOfRoom ? Errno.io : error
      syncFailure.store(failure.code, ordering: .releasing)
      throw failure
    }
  }
}
