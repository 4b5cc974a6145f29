package import GuestMemory
package import HostSystem

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
    let kernel = try BootFile(kernel, name: "the kernel")
    let image = try LinuxImage(header: try kernel.start(LinuxImage.startSize), fileSize: kernel.size)
    let (start, startOverflow) = base.addingReportingOverflow(image.textOffset)
    let (end, endOverflow) = start.addingReportingOverflow(image.memorySize)
    let deviceTree = (end &+ 0x1F_FFFF) & ~0x1F_FFFF
    let free = deviceTree &+ deviceTreeRoom
    guard !startOverflow, !endOverflow, end < .max - (8 << 20), free <= limit else {
      throw .kernelDoesNotFit(needed: image.textOffset &+ image.memorySize &+ (4 << 20), memory: limit - base)
    }
    try read(kernel, into: memory, at: start)
    var layout = Layout(kernel: start, deviceTree: deviceTree, initrd: nil)
    guard !initrd.isEmpty else { return layout }
    var cursor = free
    for part in initrd {
      let file = try BootFile(part, name: "the initrd")
      // Parts start at multiples of four bytes, as the kernel expects of joined archives.
      guard UInt64(file.size) <= limit &- cursor else {
        throw .initrdDoesNotFit(needed: cursor - base + UInt64(file.size), memory: limit - base)
      }
      try read(file, into: memory, at: cursor)
      cursor += (UInt64(file.size) + 3) & ~3
    }
    layout.initrd = free..<min(cursor, limit)
    return layout
  }

  private static func read(
    _ file: BootFile, into memory: GuestMemory, at address: UInt64
  ) throws(BootError) {
    guard file.size > 0 else { return }
    guard let slice = try? memory.slice(at: address, count: file.size) else {
      throw .kernelDoesNotFit(needed: UInt64(file.size), memory: UInt64(memory.size))
    }
    try slice.withMutableBytes { (target) throws(BootError) in try file.read(from: 0, into: target) }
  }
}
