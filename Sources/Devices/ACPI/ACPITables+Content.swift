extension ACPITables.Board {
  /// The DSDT: the devices that cannot be probed, in AML (section 5.2.11.1).
  func differentiatedDescription(_ generationID: VMGenerationID?) -> ACPITable {
    var block = AML.Block()
    power.device.describeSleepStates(in: &block)
    block.scope("\\_SB") { systemBus in
      power.device.describe(
        in: &systemBus, at: UInt64(power.base), generationID: generationID != nil)
      generationID?.describe(in: &systemBus)
      if let serial { serial.device.describe(in: &systemBus, at: UInt64(serial.base)) }
      clock?.describe(in: &systemBus, at: UInt64(CMOSClock.base))
      for (device, base) in devices { device.describe(in: &systemBus, at: base) }
      pci?.bridge.describe(in: &systemBus, buses: pci?.buses ?? 1)
    }
    // Revision 2 makes AML's integers 64 bits wide.
    var table = ACPITable("DSDT", revision: 2)
    table.append(block.bytes)
    return table
  }

  /// The MADT: the interrupt controllers (section 5.2.12). No interrupt of ISA is another input than its number
  /// says, and there are no 8259s.
  var multipleAPICDescription: ACPITable {
    var table = ACPITable("APIC", revision: 5)
    table.append(UInt32(truncatingIfNeeded: localAPIC))
    table.append(0 as UInt32)
    for id in 0..<UInt8(processors) {
      // Processor local APIC: UID, APIC ID, enabled.
      table.append([0, 8, id, id, 1, 0, 0, 0])
    }
    // I/O APIC: ID, address, first global system interrupt.
    table.append([1, 12, 0, 0] as [UInt8])
    table.append(UInt32(truncatingIfNeeded: ioAPIC))
    table.append(0 as UInt32)
    return table
  }

  /// The MCFG: where the PCI bus's configuration space is in memory (PCI Firmware Specification 3.2 section 4.1.2).
  var configurationSpaceDescription: ACPITable? {
    guard let pci else { return nil }
    var table = ACPITable("MCFG", revision: 1)
    table.append(0 as UInt64)
    table.append(pci.bridge.configurationSpace(buses: pci.buses).lowerBound)
    // Segment, first and last bus.
    table.append([0, 0, 0, UInt8(pci.buses - 1), 0, 0, 0, 0])
    return table
  }

  /// The SPCR: the serial port as a console (Microsoft's "Serial Port Console Redirection Table", revision 2).
  var serialConsoleDescription: ACPITable? {
    guard hasSerialConsole, let serial else { return nil }
    var table = ACPITable("SPCR", revision: 2)
    // A 16550 with all its registers, at ports.
    table.append([0, 0, 0, 0])
    table.append(ACPIAddress(port: serial.base, bits: 8).bytes)
    // Its interrupt is an input of an I/O APIC, by the numbers of the 8259s and of the system.
    let input = UInt32(serial.device.interrupt.input)
    table.append([2, UInt8(clamping: input)])
    table.append(input)
    // 115,200 baud, no parity, one stop bit, no flow control, an ANSI terminal, no language.
    table.append([7, 0, 1, 0, 3, 0])
    // It is no PCI device.
    table.append([0xFF, 0xFF, 0xFF, 0xFF])
    table.pad(to: 80)
    return table
  }
}
