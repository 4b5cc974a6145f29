/// Byte offsets into a configuration space with a header of type 0 (PCI Local Bus Specification 3.0 §6.1).
package enum PCIRegister {
  package static let vendorID = 0x00
  package static let deviceID = 0x02
  package static let command = 0x04
  package static let status = 0x06
  package static let revisionID = 0x08
  package static let classCode = 0x09
  package static let cacheLineSize = 0x0C
  package static let latencyTimer = 0x0D
  package static let headerType = 0x0E
  /// The first of six base address registers.
  package static let baseAddress = 0x10
  package static let subsystemVendorID = 0x2C
  package static let subsystemID = 0x2E
  package static let capabilitiesPointer = 0x34
  package static let interruptLine = 0x3C
  package static let interruptPin = 0x3D
  /// The first byte that is no part of the header.
  package static let capabilities = 0x40
}

/// Bits of the command register that functions here have (PCI 3.0 §6.2.2).
package struct PCICommand: OptionSet, Sendable {
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The function answers in memory space.
  package static let memorySpace = PCICommand(rawValue: 1 << 1)
  /// The function may access memory, and send messages by that.
  package static let busMaster = PCICommand(rawValue: 1 << 2)
  package static let parityErrorResponse = PCICommand(rawValue: 1 << 6)
  package static let systemErrorEnable = PCICommand(rawValue: 1 << 8)
  /// The function must not assert INTx.
  package static let interruptDisable = PCICommand(rawValue: 1 << 10)

  static let writable: PCICommand = [
    .memorySpace, .busMaster, .parityErrorResponse, .systemErrorEnable, .interruptDisable,
  ]
}

/// Bits of the status register (PCI 3.0 §6.2.3).
package struct PCIStatus: OptionSet, Sendable {
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The function would assert INTx, if it is not disabled.
  package static let interrupt = PCIStatus(rawValue: 1 << 3)
  package static let capabilitiesList = PCIStatus(rawValue: 1 << 4)
}

/// Who a function is.
package struct PCIIdentity: Equatable, Sendable {
  package var vendorID: UInt16
  package var deviceID: UInt16
  package var revision: UInt8
  /// Base class, subclass and programming interface, from the high byte down (PCI Code and ID Assignment).
  package var classCode: UInt32
  package var subsystemVendorID: UInt16
  package var subsystemID: UInt16

  package init(
    vendorID: UInt16, deviceID: UInt16, revision: UInt8 = 0, classCode: UInt32,
    subsystemVendorID: UInt16 = 0, subsystemID: UInt16 = 0
  ) {
    self.vendorID = vendorID
    self.deviceID = deviceID
    self.revision = revision
    self.classCode = classCode
    self.subsystemVendorID = subsystemVendorID
    self.subsystemID = subsystemID
  }
}
