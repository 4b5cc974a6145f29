package import GuestMemory
package import HostSystem
internal import Glibc

/// Puts a Linux kernel, its initial RAM disk and its device tree in a board's memory.
package struct LinuxLoader: Sendable {
  /// Where things were put, in guest-physical addresses.
  package struct Layout: Equatable, Sendable {
    package var kernel: UInt64
    package var deviceTree: UInt64
    package var initrd: Range<UInt64>?

    package init(kernel: UInt64, deviceTree: UInt64, initrd: Range<UInt64>?) {
      self.kernel = kernel
      self.deviceTree = deviceTree
      self.initrd = initrd
    }
  }

  /// Room kept for the device tree.
  package static let deviceTreeRoom: UInt64 = 1 << 20

  /// Loads the kernel and the initrd files, one behind the other, into the region of RAM at `base`.
  package static func load(
    kernel: Descriptor, initrd: [Descriptor], memory: GuestMemory, base: UInt64
  ) throws(BootError) -> Layout {
    let region = memory.regions.first { $0.base == base }
    let limit = base + UInt64(region?.size ?? 0)
    let size = try fileSize(kernel, "the kernel")
    let header = try readHeader(kernel, size: size)
    let image = try LinuxImage(header: header, fileSize: size)
    let (start, startOverflow) = base.addingReportingOverflow(image.textOffset)
    let (end, endOverflow) = start.addingReportingOverflow(image.memorySize)
    let deviceTree = (end &+ 0x1F_FFFF) & ~0x1F_FFFF
    let free = deviceTree &+ deviceTreeRoom
    guard !startOverflow, !endOverflow, end < .max - (8 << 20), free <= limit else {
      throw .kernelDoesNotFit(needed: image.textOffset &+ image.memorySize &+ (4 << 20), memory: limit - base)
    }
    try read(kernel, "the kernel", count: size, into: memory, at: start)
    var layout = Layout(kernel: start, deviceTree: deviceTree, initrd: nil)
    guard !initrd.isEmpty else { return layout }
    var cursor = free
    for file in initrd {
      let bytes = try fileSize(file, "the initrd")
      // Parts start at multiples of four bytes, as the kernel expects of joined archives.
      guard UInt64(bytes) <= limit &- cursor else {
        throw .initrdDoesNotFit(needed: cursor - base + UInt64(bytes), memory: limit - base)
      }
      try read(file, "the initrd", count: bytes, into: memory, at: cursor)
      cursor += (UInt64(bytes) + 3) & ~3
    }
    layout.initrd = free..<min(cursor, limit)
    return layout
  }

  private static func fileSize(_ file: Descriptor, _ name: String) throws(BootError) -> Int {
    do throws(Errno) { return Int(try file.size()) } catch { throw .cannotRead(name, error.description) }
  }

  private static func readHeader(_ file: Descriptor, size: Int) throws(BootError) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: min(size, LinuxImage.startSize))
    let count = header.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
    guard count == header.count else { throw .cannotRead("the kernel", Errno(errno).description) }
    return header
  }

  private static func read(
    _ file: Descriptor, _ name: String, count: Int, into memory: GuestMemory, at address: UInt64
  ) throws(BootError) {
    guard count > 0 else { return }
    guard let slice = try? memory.slice(at: address, count: count) else {
      throw .kernelDoesNotFit(needed: UInt64(count), memory: UInt64(memory.size))
    }
    let failure: BootError? = slice.withMutableBytes { target in
      var done = 0
      while done < count {
        let got = pread(file.raw, target.baseAddress! + done, count - done, off_t(done))
        if got < 0, errno == EINTR { continue }
        if got < 0 { return .cannotRead(name, Errno(errno).description) }
        if got == 0 { return .cannotRead(name, "it ends early") }
        done += got
      }
      return nil
    }
    if let failure { throw failure }
  }
}
