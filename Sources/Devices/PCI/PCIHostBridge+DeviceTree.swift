extension PCIHostBridge {
  /// The first cell of an address in memory space: what kind it is (PCI Bus Binding to Open Firmware §2.2.1.1).
  private enum AddressSpace {
    static let memory32: UInt32 = 0x0200_0000
    static let memory64: UInt32 = 0x0300_0000
  }

  /// Adds the bridge's node to a bus that counts two cells for an address and two for a size. The wires
  /// end at inputs of the controller `interruptParent`, whose specifiers are a cell and addresses none.
  package func describe(in bus: inout DeviceTree.Node, interruptParent: DeviceTree.PHandle) {
    bus.node(name, at: map.ecam) {
      $0.property("compatible", .string("pci-host-ecam-generic"))
      $0.property("device_type", .string("pci"))
      $0.property("reg", .u64([map.ecam, Self.busConfigurationSize]))
      $0.property("#address-cells", .cells([3]))
      $0.property("#size-cells", .cells([2]))
      $0.property("#interrupt-cells", .cells([1]))
      $0.property("linux,pci-domain", .cells([0]))
      $0.property("bus-range", .cells([0, 0]))
      $0.property("dma-coherent")
      var ranges = Self.range(AddressSpace.memory32, map.memory32)
      if let high = map.memory64 { ranges = ranges + Self.range(AddressSpace.memory64, high) }
      $0.property("ranges", ranges)
      // Four devices in a row have all four combinations of pin and wire.
      $0.property("interrupt-map-mask", .cells([3 << 11, 0, 0, 7]))
      $0.property("interrupt-map", interruptMap(interruptParent))
    }
  }

  /// A window: its address on the bus, the same address for the CPU, its size.
  private static func range(_ space: UInt32, _ window: Range<UInt64>) -> DeviceTree.Value {
    .cells([space])
      + .u64([window.lowerBound, window.lowerBound, window.upperBound - window.lowerBound])
  }

  private func interruptMap(_ parent: DeviceTree.PHandle) -> DeviceTree.Value {
    var map = DeviceTree.Value.empty
    for device in 0..<4 {
      for pin in 0..<4 {
        let input = interrupts.lines[PCIInterruptRouter.wire(device: device, pin: pin)].input
        map =
          map + .cells([UInt32(device << 11), 0, 0, UInt32(pin + 1)]) + .phandle(parent)
          + .cells([UInt32(input)])
      }
    }
    return map
  }
}
