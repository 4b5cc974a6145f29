extension PCIHostBridge {
  /// Adds the bridge's object, and one that keeps the configuration space of its `buses` from other use. The
  /// wires end at inputs of the controller whose inputs are the global system interrupts.
  package func describe(in systemBus: inout AML.Block, buses: Int = 1) {
    let ports = PCIConfigurationPorts.base
    systemBus.device("PCI0") {
      // A PCI Express root bridge, which drivers of PCI's know too.
      $0.name("_HID", .eisaID("PNP0A08"))
      $0.name("_CID", .eisaID("PNP0A03"))
      $0.name("_UID", 0)
      $0.name("_SEG", 0)
      $0.name("_BBN", 0)
      // Devices see memory as the CPUs' caches have it.
      $0.name("_CCA", 1)
      let windows = memoryWindows(buses: buses).map { AML.Resource.window($0) }
      $0.name(
        "_CRS",
        .resources([.buses(0..<UInt64(buses)), .ports(ports, count: 8)] + windows))
      $0.name("_PRT", interruptTable)
      describeCapabilities(in: &$0)
    }
    systemBus.device("MCFG") {
      $0.name("_HID", .eisaID("PNP0C02"))
      $0.name("_UID", 0)
      $0.name("_CRS", .resources([.memory(configurationSpace(buses: buses))]))
    }
  }

  /// The addresses of the configuration space of the first `buses`.
  func configurationSpace(buses: Int) -> Range<UInt64> {
    let start = ecam?.lowerBound ?? map.ecam
    return start..<start + UInt64(buses) * Self.busConfigurationSize
  }

  /// The windows for functions' ranges: without the configuration space, if that is in one.
  private func memoryWindows(buses: Int) -> [Range<UInt64>] {
    let hole = configurationSpace(buses: buses)
    let pieces = [
      map.memory32.clamped(to: 0..<hole.lowerBound), map.memory32.clamped(to: hole.upperBound..<UInt64.max),
      map.memory64,
    ]
    return pieces.compactMap { $0 }.filter { !$0.isEmpty }
  }

  /// For each device and pin, the input at the wire's end (ACPI 6.5 section 6.2.13).
  private var interruptTable: AML.Term {
    let devices = Set(functions.map(\.address.device)).sorted()
    return .package(
      devices.flatMap { device in
        (0..<4).map { pin in
          let wire = PCIInterruptRouter.wire(device: device, pin: pin)
          // All functions of the device; the pin; no link device; the interrupt.
          return .package([
            .integer(UInt64(device) << 16 | 0xFFFF), .integer(UInt64(pin)), 0,
            .integer(UInt64(interrupts.lines[wire].input)),
          ])
        }
      })
  }

  /// What the guest may do that firmware could keep to itself: everything of PCI Express (PCI Firmware
  /// Specification 3.2 section 4.5.1).
  private func describeCapabilities(in device: inout AML.Block) {
    // Bits of the first word returned: the UUID is unknown, the revision is unknown, something was refused.
    let (unknownUUID, unknownRevision, refused) = (4, 8, 0x10) as (AML.Term, AML.Term, AML.Term)
    // Hot-plug, its standard controller, power management events, error reporting, the PCI Express
    // capability.
    let granted = 0x1F as AML.Term
    let capabilities = AML.Term.argument(3)
    device.method("_OSC", arguments: 4, isSerialized: true) {
      $0.field32("CDW1", of: capabilities, at: 0)
      $0.if(.equal(.argument(0), .uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766"))) {
        $0.field32("CDW3", of: capabilities, at: 8)
        $0.and(.named("CDW3"), granted, in: .local(0))
        $0.if(.not(.equal(.argument(1), 1))) {
          $0.or(.named("CDW1"), unknownRevision, in: .named("CDW1"))
        }
        $0.if(.not(.equal(.named("CDW3"), .local(0)))) {
          $0.or(.named("CDW1"), refused, in: .named("CDW1"))
        }
        $0.store(.local(0), in: .named("CDW3"))
      }
      $0.else { $0.or(.named("CDW1"), unknownUUID, in: .named("CDW1")) }
      $0.return(capabilities)
    }
  }
}
