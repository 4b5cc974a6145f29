/// Physical addresses and interrupt numbers of the riscv64 `virt` board: those of QEMU's board of the
/// same name, so that its firmware runs unmodified.
package enum VirtMap {
  package static let systemController: UInt64 = 0x10_0000
  package static let clock: UInt64 = 0x10_1000
  package static let interruptController: UInt64 = 0xC00_0000
  package static let serial: UInt64 = 0x1000_0000
  /// The first of ``virtioSlots`` virtio-mmio transports, ``virtioStride`` apart.
  package static let virtio: UInt64 = 0x1000_1000
  package static let virtioStride: UInt64 = 0x1000
  package static let virtioSlots = 8
  /// The configuration space of the PCI Express bus, in room for 256 buses.
  package static let pciConfiguration: UInt64 = 0x3000_0000
  package static let pciBuses = 256
  /// The bus's addresses below 4 GiB.
  package static let pciMemory32: Range<UInt64> = 0x4000_0000..<0x8000_0000
  package static let memory: UInt64 = 0x8000_0000

  /// Inputs of the interrupt controller.
  package enum Interrupt {
    /// Of the first virtio-mmio transport; the others follow.
    package static let virtio = 1
    package static let serial = 10
    package static let clock = 11
    /// Of INTA, the first of the PCI Express bus's four wires.
    package static let pci = 32
    /// How many inputs there are.
    package static let count = 96
  }
}
