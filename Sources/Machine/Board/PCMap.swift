/// Physical addresses, ports and interrupt numbers of the x86-64 `pc` board. Where things lie in memory is as in
/// Cloud Hypervisor, so that firmware made for it works too.
package enum PCMap {
  // MARK: - Memory

  /// Where RAM ends in the first 4 GiB; what is left of it goes on at ``highMemory``.
  package static let lowMemoryEnd: UInt64 = 0xC000_0000
  package static let highMemory: UInt64 = 0x1_0000_0000
  /// What a PC keeps for its display and its firmware between two parts of RAM. There is memory here too, for the
  /// tables of the firmware that Volary stands in for, but the guest is told to leave it alone.
  package static let firmware: Range<UInt64> = 0xA_0000..<0x10_0000
  /// Where the kernel may lie and all that is behind it: the end of ``firmware``.
  package static let extendedMemory: UInt64 = 0x10_0000

  /// `hvm_start_info` of a kernel's PVH entry, with its lists; a page.
  package static let startInfo: UInt64 = 0x6000
  /// `boot_params` of a kernel's 64-bit entry; a page.
  package static let zeroPage: UInt64 = 0x7000
  /// What `boot_params` leads to (`setup_data`); a page.
  package static let setupData: UInt64 = 0x8000
  /// Descriptor table and page tables of a kernel's 64-bit entry, up to 0x10000.
  package static let bootTables: UInt64 = 0x9000
  /// The kernel's command line, at most ``commandLineRoom`` bytes with the zero at its end.
  package static let commandLine: UInt64 = 0x2_0000
  package static let commandLineRoom = 0x1_0000

  /// The ACPI tables' root pointer; the tables follow it.
  package static let rootPointer: UInt64 = 0xA_0000
  /// Room for ``rootPointer`` and all ACPI tables.
  package static let acpiTables: Range<UInt64> = 0xA_0000..<0xF_0000
  /// Where a processor begins in real mode, and what jumps there to restart the machine: ``ResetVector``.
  package static let resetVector: UInt64 = 0xF_FFF0

  // MARK: - Devices

  /// The PCI Express bus's addresses below 4 GiB.
  package static let pciMemory32: Range<UInt64> = 0xC000_0000..<0xE800_0000
  /// The configuration space of the PCI Express bus, in room for 256 buses.
  package static let pciConfiguration: UInt64 = 0xE800_0000
  package static let pciConfigurationSize: UInt64 = 0x1000_0000
  package static let pciBuses = 256
  package static let ioAPIC: UInt64 = 0xFEC0_0000
  package static let localAPIC: UInt64 = 0xFEE0_0000

  /// I/O ports of devices that could have others.
  package enum Port {
    /// Eight registers of COM1.
    package static let serial: UInt16 = 0x3F8
    /// ACPI's SLEEP_CONTROL_REG, with its other registers behind it (ACPI 6.5, 4.8.3.7).
    package static let sleepControl: UInt16 = 0x600
  }

  /// Inputs of the I/O APIC, which are the ISA bus's interrupts too.
  package enum Interrupt {
    package static let serial = 4
    package static let clock = 8
    /// Of ACPI's generic event device.
    package static let events = 9
    /// Of INTA, the first of the PCI Express bus's four wires.
    package static let pci = 16
  }

  // MARK: - Beneath firmware of its own

  /// Addresses of a board that UEFI firmware starts (``PCFirmware``): those that it knows from QEMU's `q35`.
  package enum UEFI {
    /// Where RAM ends in the first 4 GiB at the latest.
    package static let lowMemoryEnd: UInt64 = 0x8000_0000
    /// The PCI Express bus's addresses below 4 GiB, its configuration space among them, which firmware moves.
    package static let pciMemory32: Range<UInt64> = 0x8000_0000..<0xFC00_0000
    package static let pciConfiguration: UInt64 = 0xE000_0000
    /// Where the firmware's code ends.
    package static let firmwareEnd: UInt64 = 0x1_0000_0000
  }

  // MARK: - RAM

  /// How so many bytes of RAM (rounded down to pages) lie in the guest's addresses: what to make `GuestMemory` of, and
  /// what to tell the guest.
  ///
  /// The region from 0 counts in full, with the 384 KiB of ``firmware`` that the guest cannot use. `lowEnd` is where
  /// RAM ends in the first 4 GiB at the latest.
  package static func ram(size: UInt64, lowEnd: UInt64 = lowMemoryEnd) -> PCMemory {
    let size = size & ~0xFFF
    let low = min(size, lowEnd)
    let high = size - low
    var memory = PCMemory(regions: [(base: 0, size: Int(low))], map: [])
    func add(_ range: Range<UInt64>, _ kind: MemoryMapEntry.Kind) {
      if !range.isEmpty { memory.map.append(MemoryMapEntry(range: range, kind: kind)) }
    }
    add(0..<min(low, firmware.lowerBound), .usable)
    add(firmware, .reserved)
    if low > extendedMemory { add(extendedMemory..<low, .usable) }
    add(pciConfiguration..<pciConfiguration + pciConfigurationSize, .reserved)
    if high > 0 {
      memory.regions.append((base: highMemory, size: Int(high)))
      add(highMemory..<highMemory + high, .usable)
    }
    return memory
  }
}
