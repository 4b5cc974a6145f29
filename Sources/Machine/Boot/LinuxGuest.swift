package import HostSystem

/// A kernel to boot, and what it is told.
package struct LinuxGuest: Sendable {
  package var kernel: Descriptor
  /// Files that follow each other in memory as one initial RAM disk.
  package var initrd: [Descriptor]
  package var commandLine: String
  /// Random bytes for the guest's kernel, which no other start of it is given.
  package var entropySeed: [UInt8]

  package init(
    kernel: Descriptor, initrd: [Descriptor] = [], commandLine: String = "", entropySeed: [UInt8] = []
  ) {
    self.kernel = kernel
    self.initrd = initrd
    self.commandLine = commandLine
    self.entropySeed = entropySeed
  }

  /// The guest to be started once more: the same but for the seed, which is a new one of as many bytes.
  package func restarted() -> LinuxGuest {
    var guest = self
    guest.entropySeed = HostEntropy.bytes(entropySeed.count)
    return guest
  }
}
