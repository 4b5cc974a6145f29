/// The bytes of a function's configuration space: their values, and what software may do to each bit
/// (PCI 3.0 §6.1).
///
/// The space has 4096 bytes; no function here has extended capabilities, so that all from 256 on reads as
/// zero, which says so (PCI Express Base Specification §7.6.1).
package struct PCIConfigurationSpace: Sendable {
  package static let size = 4096
  /// Bytes of the part with the header and the list of capabilities.
  static let conventionalSize = 256

  /// The identifiers of capabilities (PCI Code and ID Assignment §2).
  enum CapabilityID {
    static let powerManagement: UInt8 = 0x01
    static let vendorSpecific: UInt8 = 0x09
    static let express: UInt8 = 0x10
    static let msix: UInt8 = 0x11
  }

  private(set) var bytes = [UInt8](repeating: 0, count: conventionalSize)
  private var initial = [UInt8](repeating: 0, count: conventionalSize)
  private var writable = [UInt8](repeating: 0, count: conventionalSize)
  /// Where the next capability goes, and where the list's last pointer is.
  private var nextCapability = PCIRegister.capabilities
  private var lastPointer = PCIRegister.capabilitiesPointer

  init(_ identity: PCIIdentity) {
    define(identity.vendorID, at: PCIRegister.vendorID)
    define(identity.deviceID, at: PCIRegister.deviceID)
    define(UInt16(0), at: PCIRegister.command, writable: PCICommand.writable.rawValue)
    define(identity.classCode << 8 | UInt32(identity.revision), at: PCIRegister.revisionID)
    // A register of the past that PCI Express has software write without effect (§7.5.1.1.7).
    define(UInt8(0), at: PCIRegister.cacheLineSize, writable: 0xFF)
    define(identity.subsystemVendorID, at: PCIRegister.subsystemVendorID)
    define(identity.subsystemID, at: PCIRegister.subsystemID)
    define(UInt8(0), at: PCIRegister.interruptLine, writable: 0xFF)
  }

  // MARK: - Building

  /// Sets what a field is after a reset and which of its bits software may change.
  mutating func define<T: FixedWidthInteger>(_ value: T, at offset: Int, writable mask: T = 0) {
    for index in 0..<MemoryLayout<T>.size {
      let byte = UInt8(truncatingIfNeeded: value >> T(8 * index))
      bytes[offset + index] = byte
      initial[offset + index] = byte
      writable[offset + index] = UInt8(truncatingIfNeeded: mask >> T(8 * index))
    }
  }

  /// Sets up the base address register of a range.
  mutating func define(_ range: PCIBaseAddress) {
    let mask = ~(range.size - 1)
    let low = UInt32(truncatingIfNeeded: mask)
    define(range.kind.bits, at: range.register, writable: low & ~0xF)
    guard range.kind == .memory64 else { return }
    define(UInt32(0), at: range.register + 4, writable: UInt32(truncatingIfNeeded: mask >> 32))
  }

  /// Adds a capability of `size` bytes, its header included, to the end of the list (§6.7). Returns where
  /// it begins; the rest of it is for the caller to define.
  mutating func addCapability(_ identifier: UInt8, size: Int) -> Int {
    let place = nextCapability
    precondition(place + size <= Self.conventionalSize, "the capabilities do not fit")
    define(UInt8(place), at: lastPointer)
    define(identifier, at: place)
    define(PCIStatus.capabilitiesList.rawValue, at: PCIRegister.status)
    lastPointer = place + 1
    nextCapability = (place + size + 3) & ~3
    return place
  }

  // MARK: - Access

  /// Reads `width` bytes, little-endian, which must lie within the space.
  package func load(at offset: Int, width: Int) -> UInt32 {
    guard offset + width <= Self.conventionalSize else { return 0 }
    return bytes[offset..<offset + width].reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  func load<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self, at offset: Int) -> T {
    T(truncatingIfNeeded: load(at: offset, width: MemoryLayout<T>.size))
  }

  /// Takes software's write of `width` bytes, which must lie within the space.
  mutating func write(at offset: Int, width: Int, value: UInt32) {
    guard offset + width <= Self.conventionalSize else { return }
    for index in 0..<width {
      let byte = UInt8(truncatingIfNeeded: value >> UInt32(8 * index))
      let mask = writable[offset + index]
      bytes[offset + index] = bytes[offset + index] & ~mask | byte & mask
    }
  }

  /// Sets a field from the function's side.
  mutating func store<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    for index in 0..<MemoryLayout<T>.size {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index))
    }
  }

  mutating func reset() { bytes = initial }

  /// Takes bytes from a snapshot, as far as software could have changed them.
  mutating func restore(_ saved: [UInt8]) {
    reset()
    for (index, byte) in saved.prefix(Self.conventionalSize).enumerated() {
      bytes[index] = initial[index] & ~writable[index] | byte & writable[index]
    }
  }

  // MARK: - Fields

  var command: PCICommand { PCICommand(rawValue: load(at: PCIRegister.command)) }

  /// Where a range is, as far as its register says.
  func address(of range: PCIBaseAddress) -> UInt64 {
    let low = UInt64(load(UInt32.self, at: range.register) & ~0xF)
    guard range.kind == .memory64 else { return low }
    return low | UInt64(load(UInt32.self, at: range.register + 4)) << 32
  }
}
