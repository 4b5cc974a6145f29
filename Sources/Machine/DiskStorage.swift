internal import Devices
internal import DiskImages
internal import HostSystem
internal import MachineControl

/// A disk image as the block device sees it.
final class DiskStorage: BlockStorage, @unchecked Sendable {  // changed only while the device rests
  /// An image, and the file that it writes.
  struct Opened: @unchecked Sendable {  // one thread has it at a time
    let image: any DiskImage
    /// Nil for a pair, which has two, and for a disk on a server, whose connections end when they are let go of.
    let file: Descriptor?
    /// The image, if it is a pair.
    var mirror: MirroredDisk?
    /// As it was asked for.
    let cache: MachineConfiguration.Disk.Cache
  }

  let serial: String
  /// What has the connections of a disk that is on a server.
  let server: DiskServer?
  private var opened: Opened

  init(serial: String, _ opened: Opened, server: DiskServer? = nil) {
    self.serial = serial
    self.server = server
    self.opened = opened
  }

  private var image: any DiskImage { opened.image }

  var cache: MachineConfiguration.Disk.Cache { opened.cache }
  /// Whether many pieces cost more than a copy.
  private var gathers: Bool { cache == .none || server != nil }
  var size: UInt64 { image.size }
  var isReadOnly: Bool { image.isReadOnly }

  /// Makes it larger, where it reads as zero. False when the image cannot become so while it is used.
  func grow(to size: UInt64) throws(Errno) -> Bool {
    switch image {
    case let image as QCOW2Image: try image.resize(to: size)
    case let image as RawImage: try image.grow(to: size)
    default: return false
    }
    return true
  }

  func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
    try image.read(at: offset, into: target)
  }

  func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {
    try image.write(at: offset, from: source)
  }

  func read(at offset: UInt64, into targets: [UnsafeMutableRawBufferPointer]) throws(Errno) {
    try GatheredAccess.read(at: offset, into: targets, gathers: gathers) {
      (offset, buffer) throws(Errno) in try image.read(at: offset, into: buffer)
    }
  }

  func write(at offset: UInt64, from sources: [UnsafeRawBufferPointer]) throws(Errno) {
    try GatheredAccess.write(at: offset, from: sources, gathers: gathers) {
      (offset, buffer) throws(Errno) in try image.write(at: offset, from: buffer)
    }
  }

  func flush() throws(Errno) {
    // Files know it themselves.
    if server != nil, cache == .unsafe { return }
    try image.flush()
  }

  func discard(at offset: UInt64, count: UInt64) throws(Errno) { try image.discard(at: offset, count: count) }

  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try image.writeZeroes(at: offset, count: count, mayUnmap: mayUnmap)
  }

  // MARK: - While the device rests

  /// Goes on in another image. Returns what it was.
  func replace(by other: Opened) -> Opened {
    let old = opened
    opened = other
    old.mirror?.close()
    return old
  }

  /// Lets others read the file, which is not written until ``lockAgain()``.
  func unlock() throws(Errno) {
    try opened.file?.lock(exclusive: false)
    try opened.mirror?.lockFiles(exclusive: false)
  }

  /// Has the file for this machine alone again. That another took it meanwhile and left it locked cannot be: layers are
  /// only read, and one that is in the way then is in the way of the next start too.
  func lockAgain() {
    try? opened.file?.lock(exclusive: !isReadOnly)
    try? opened.mirror?.lockFiles(exclusive: true)
  }

  /// The pair that it is, if it is one.
  var mirror: MirroredDisk? { opened.mirror }
}
