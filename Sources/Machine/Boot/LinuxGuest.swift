package import HostSystem

/// A kernel to boot, and what it is told.
package struct LinuxGuest: Sendable {
  package var kernel: Descriptor
  /// Files that follow each other in memory as one initial RAM disk.
  package var initrd: [Descriptor]
  package var commandLine: String
  /// Random bytes for the guest's kernel.
  package var entropySeed: [UInt8]

  package init(
    kernel: Descriptor, initrd: [Descriptor] = [], commandLine: String = "", entropySeed: [UInt8] = []
  ) {
    self.kernel = kernel
    self.initrd = initrd
    self.commandLine = commandLine
    self.entropySeed = entropySeed
  }
}
