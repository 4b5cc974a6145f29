/// The bridge to what was the ISA bus, as Intel's ICH9 has it at 00:1F.0. Firmware for such boards looks here for where
/// ACPI's registers are, and knows by it that there is a serial port; the bridge itself does nothing.
package final class LPCBridge: PCIFunction {
  package static let address = PCIAddress(device: 31)

  /// Registers that firmware reads or sets up (Intel 82801I datasheet, 13.1).
  private enum Register {
    static let powerManagementBase = 0x40
    static let acpiControl = 0x44
    /// Where the eight wires of PCI's interrupts end at 8259s, which there are none of.
    static let wires = [0x60, 0x61, 0x62, 0x63, 0x68, 0x69, 0x6A, 0x6B]
  }

  package let name: String
  package let interface: PCIInterface

  /// ACPI's registers are at the ports from `powerManagement` on, which firmware cannot change.
  package init(name: String = "lpc", powerManagement: UInt16) {
    self.name = name
    let identity = PCIIdentity(vendorID: 0x8086, deviceID: 0x2918, classCode: 0x06_0100)
    interface = PCIInterface(PCIInterface.Description(identity)) { space in
      // In I/O space; decoded.
      space.define(UInt32(powerManagement) | 1, at: Register.powerManagementBase)
      space.define(UInt8(0x80), at: Register.acpiControl)
      for wire in Register.wires { space.define(UInt8(0x80), at: wire, writable: 0x8F) }
    }
  }

  package func reset() { interface.reset() }
}

extension LPCBridge: StatefulDevice {
  package static let stateKind = "lpc-bridge"
  package static let stateVersion = 1

  package var state: PCIInterface.State {
    get { interface.state }
    set { interface.state = newValue }
  }
}
