extension PCIConfigurationSpace {
  /// Bits of MSI-X's message control (PCI 3.0 §6.8.2.3).
  enum MSIXControl {
    static let functionMask: UInt16 = 1 << 14
    static let enable: UInt16 = 1 << 15
  }

  /// Bits of PCI Express's device capabilities and control (PCI Express §7.5.3.3, §7.5.3.4).
  private enum Express {
    /// Version 2 of the structure, of an endpoint integrated into the root complex: one that is on no link.
    static let capabilities: UInt16 = 9 << 4 | 2
    static let size = 0x3C
    static let roleBasedErrorReporting: UInt32 = 1 << 15
    static let functionLevelReset: UInt32 = 1 << 28
    static let initiateReset: UInt16 = 1 << 15
    /// Error reporting, relaxed ordering, payload size, no snoop and read request size, which change
    /// nothing here; and the reset.
    static let control: UInt16 = 0x78FF | initiateReset
    /// After a reset: relaxed ordering, no snoop, reads of 512 bytes.
    static let initialControl: UInt16 = 0x2810
  }

  /// Adds the power management capability (PCI Power Management Interface Specification 1.2 §3.2): awake, or
  /// asleep without losing anything.
  mutating func addPowerManagement() -> Int {
    let place = addCapability(CapabilityID.powerManagement, size: 8)
    define(UInt16(3), at: place + 2)  // The specification's version: 1.2. Neither D1 nor D2.
    define(UInt16(1 << 3), at: place + 4, writable: 3)  // No_Soft_Reset; PowerState.
    return place
  }

  /// Adds the PCI Express capability (PCI Express §7.5.3).
  mutating func addExpress() -> Int {
    let place = addCapability(CapabilityID.express, size: Express.size)
    define(Express.capabilities, at: place + 2)
    define(Express.roleBasedErrorReporting | Express.functionLevelReset, at: place + 4)
    define(Express.initialControl, at: place + 8, writable: Express.control)
    return place
  }

  /// Whether a reset was asked for just now. The bit always reads as zero.
  mutating func takeFunctionReset(express place: Int) -> Bool {
    let control: UInt16 = load(at: place + 8)
    guard control & Express.initiateReset != 0 else { return false }
    store(control & ~Express.initiateReset, at: place + 8)
    return true
  }

  /// Adds the MSI-X capability (PCI 3.0 §6.8.2) for `count` vectors.
  mutating func addMSIX(count: Int, at placement: MSIXTable.Placement) -> Int {
    let place = addCapability(CapabilityID.msix, size: 12)
    define(
      UInt16(count - 1), at: place + 2, writable: MSIXControl.enable | MSIXControl.functionMask)
    define(placement.table | UInt32(placement.range), at: place + 4)
    define(placement.pending | UInt32(placement.range), at: place + 8)
    return place
  }
}
