extension VirtioDeviceID {
  /// Who the device is on a PCI bus, without a legacy interface (virtio 1.3 §4.1.2).
  package var pciIdentity: PCIIdentity {
    let vendor: UInt16 = 0x1AF4
    let device = 0x1040 + UInt16(rawValue)
    return PCIIdentity(
      vendorID: vendor, deviceID: device, revision: 1, classCode: classCode, subsystemVendorID: vendor,
      subsystemID: device)
  }

  /// Base class, subclass and interface (PCI Code and ID Assignment §1).
  private var classCode: UInt32 {
    switch self {
    case .network: 0x02_00_00  // An Ethernet controller.
    case .block: 0x01_80_00  // A mass storage controller of another kind.
    case .console, .socket: 0x07_80_00  // A communication controller of another kind.
    default: 0xFF_00_00  // Of no class that is defined.
    }
  }
}
