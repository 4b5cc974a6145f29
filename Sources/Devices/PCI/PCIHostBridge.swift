internal import Synchronization

/// A PCI Express host bridge with one bus of functions that are there from the start.
///
/// The configuration space has two faces: ECAM in memory, and the ports of the PC. In memory space the
/// bridge has windows; an access to one finds the function that decodes the address at that moment. CPU
/// and bus have the same addresses.
///
/// At a reset the bridge does what firmware does: it gives every range an address and has it decoded, so
/// that a guest may keep that or assign anew.
package final class PCIHostBridge: Device {
  /// The physical addresses that lead to the bridge.
  package struct AddressMap: Equatable, Sendable {
    /// Where the configuration space of bus 0 begins; a multiple of 1 MiB. If ``movesECAM``, after a reset.
    package var ecam: UInt64
    /// Whether software can move it, within the windows, by a register of Intel's bridges.
    package var movesECAM = false
    /// The window below 4 GiB.
    package var memory32: Range<UInt64>
    /// The window above 4 GiB, for ranges that can be there.
    package var memory64: Range<UInt64>?

    package init(
      ecam: UInt64, memory32: Range<UInt64>, memory64: Range<UInt64>? = nil, movesECAM: Bool = false
    ) {
      precondition(ecam % PCIHostBridge.busConfigurationSize == 0, "ECAM is aligned to a bus")
      precondition(memory32.upperBound <= 1 << 32, "the first window is below 4 GiB")
      self.ecam = ecam
      self.memory32 = memory32
      self.memory64 = memory64
      self.movesECAM = movesECAM
    }
  }

  /// 00:00.0, the bridge itself as a function.
  private final class Function: PCIFunction {
    let name: String
    let interface: PCIInterface
    /// Where the configuration space is in memory; nil while it is not. What moves it is a register of 8 bytes.
    let ecam: Mutex<Range<UInt64>?>
    private let movesECAM: Bool

    /// PCIEXBAR (Intel Q35 datasheet, 5.1.16).
    private enum ExpressBase {
      static let register = 0x60
      static let enable: UInt64 = 1 << 0
      /// How many buses: 256, 128 or 64.
      static let size: UInt64 = 3 << 1
      static let address: UInt64 = 0xF_F000_0000
    }

    init(name: String, identity: PCIIdentity, map: AddressMap) {
      self.name = name
      let bytes = 256 * PCIHostBridge.busConfigurationSize
      movesECAM = map.movesECAM
      ecam = Mutex(map.ecam..<map.ecam + bytes)
      interface = PCIInterface(.init(identity)) { space in
        guard map.movesECAM else { return }
        let base = map.ecam | ExpressBase.enable
        let mask = ExpressBase.enable | ExpressBase.size | ExpressBase.address
        space.define(
          UInt32(truncatingIfNeeded: base), at: ExpressBase.register,
          writable: UInt32(truncatingIfNeeded: mask))
        space.define(
          UInt32(truncatingIfNeeded: base >> 32), at: ExpressBase.register + 4,
          writable: UInt32(truncatingIfNeeded: mask >> 32))
      }
    }

    func reset() {
      interface.reset()
      followExpressBase()
    }

    func restore(_ state: PCIInterface.State) {
      interface.state = state
      followExpressBase()
    }

    func writeConfiguration(offset: Int, width: Int, value: UInt32) {
      _ = interface.write(offset: offset, width: width, value: value)
      if offset & ~7 == ExpressBase.register { followExpressBase() }
    }

    private func followExpressBase() {
      guard movesECAM else { return }
      ecam.withLock { ecam in
        let low = UInt64(interface.read(offset: ExpressBase.register, width: 4))
        let value = low | UInt64(interface.read(offset: ExpressBase.register + 4, width: 4)) << 32
        let bytes = (256 >> ((value & ExpressBase.size) >> 1)) * PCIHostBridge.busConfigurationSize
        let start = value & ExpressBase.address
        ecam = value & ExpressBase.enable == 0 ? nil : start..<start + bytes
      }
    }
  }

  /// Bytes of a bus's configuration space: 32 devices of 8 functions of 4096 bytes.
  package static let busConfigurationSize: UInt64 = 1 << 20
  /// The bridge of QEMU's `virt` boards: one that needs no driver of its own.
  package static let genericIdentity = PCIIdentity(vendorID: 0x1B36, deviceID: 0x0008, classCode: 0x06_0000)
  /// Intel's Q35, for firmware that knows boards by their bridge.
  package static let q35Identity = PCIIdentity(vendorID: 0x8086, deviceID: 0x29C0, classCode: 0x06_0000)

  package let name: String
  package let map: AddressMap
  package let interrupts: PCIInterruptRouter
  /// The functions besides the bridge's own, in order of their places.
  package let functions: [(address: PCIAddress, function: any PCIFunction)]
  private let own: Function
  /// The functions by their number on the bus.
  private let slots: [(any PCIFunction)?]
  /// What the port of addresses holds.
  private let portAddress = Mutex<UInt32>(0)

  /// A bridge and its bus. No function is at 00.0, and a device that has any has function 0.
  package init(
    name: String = "pci", map: AddressMap, identity: PCIIdentity = genericIdentity,
    interrupts: PCIInterruptRouter, functions: [(address: PCIAddress, function: any PCIFunction)]
  ) {
    self.name = name
    self.map = map
    self.interrupts = interrupts
    self.functions = functions.sorted { $0.address.index < $1.address.index }
    own = Function(name: name, identity: identity, map: map)
    var slots = [(any PCIFunction)?](repeating: nil, count: 256)
    slots[0] = own
    for (address, function) in self.functions {
      precondition(slots[address.index] == nil, "two PCI functions at \(address)")
      slots[address.index] = function
      guard address.function > 0 else { continue }
      guard let first = slots[PCIAddress(device: address.device).index] else {
        preconditionFailure("PCI device \(address) lacks its function 0")
      }
      first.interface.setMultifunction()
    }
    self.slots = slots
  }

  package func reset() {
    portAddress.withLock { $0 = 0 }
    own.reset()
    for (_, function) in functions { function.reset() }
    assignAddresses()
  }

  package func stop() {
    for (_, function) in functions { function.stop() }
  }

  // MARK: - Configuration space

  /// Reads `width` bytes (1, 2 or 4) of a function's configuration space. Where no function is, they are
  /// all ones, by which drivers find out.
  func readConfiguration(bus: Int, function: Int, offset: Int, width: Int) throws(BusFault) -> UInt32 {
    try Self.check(offset, width)
    guard bus == 0, let function = slots[function] else { return .max >> UInt32(32 - 8 * width) }
    return function.readConfiguration(offset: offset, width: width)
  }

  func writeConfiguration(
    bus: Int, function: Int, offset: Int, width: Int, value: UInt32
  ) throws(BusFault) {
    try Self.check(offset, width)
    guard bus == 0, let function = slots[function] else { return }
    function.writeConfiguration(offset: offset, width: width, value: value)
  }

  /// As `readConfiguration(bus:function:offset:width:)`, by the place in the configuration space in memory: 4 KiB for
  /// each function of each bus.
  func readConfiguration(at place: UInt64, width: Int) throws(BusFault) -> UInt64 {
    let (bus, function, offset) = Self.split(place)
    return UInt64(try readConfiguration(bus: bus, function: function, offset: offset, width: width))
  }

  func writeConfiguration(at place: UInt64, width: Int, value: UInt64) throws(BusFault) {
    let (bus, function, offset) = Self.split(place)
    try writeConfiguration(
      bus: bus, function: function, offset: offset, width: width, value: UInt32(truncatingIfNeeded: value))
  }

  private static func split(_ place: UInt64) -> (bus: Int, function: Int, offset: Int) {
    (Int(place >> 20), Int(place >> 12 & 0xFF), Int(place & 0xFFF))
  }

  /// A request is for bytes of one word of four bytes; no bridge has to do more (PCI Express §7.2.2).
  private static func check(_ offset: Int, _ width: Int) throws(BusFault) {
    guard width <= 4, offset % 4 + width <= 4 else { throw .badWidth }
  }

  // MARK: - Memory space

  func readMemory(address: UInt64, width: Int) throws(BusFault) -> UInt64 {
    if map.movesECAM, let place = configurationPlace(address) {
      return try readConfiguration(at: place, width: width)
    }
    let (function, range, offset) = try find(address, width: width)
    return try function.read(range: range, offset: offset, width: width)
  }

  func writeMemory(address: UInt64, width: Int, value: UInt64) throws(BusFault) {
    if map.movesECAM, let place = configurationPlace(address) {
      return try writeConfiguration(at: place, width: width, value: value)
    }
    let (function, range, offset) = try find(address, width: width)
    try function.write(range: range, offset: offset, width: width, value: value)
  }

  /// Where the configuration space is in memory now; nil where it is not.
  package var ecam: Range<UInt64>? { own.ecam.withLock { $0 } }

  /// An address's place in the configuration space, if it is in there.
  private func configurationPlace(_ address: UInt64) -> UInt64? {
    guard let ecam, ecam.contains(address) else { return nil }
    return address - ecam.lowerBound
  }

  /// The function that decodes all of an access at this moment, and where in which of its ranges that is.
  private func find(
    _ address: UInt64, width: Int
  ) throws(BusFault) -> (function: any PCIFunction, range: Int, offset: UInt64) {
    for (_, function) in functions {
      if let (range, offset) = function.interface.find(address, width: width) {
        return (function, range, offset)
      }
    }
    throw .unclaimed
  }

  // MARK: - The port of addresses

  var configurationAddress: UInt32 {
    get { portAddress.withLock { $0 } }
    set { portAddress.withLock { $0 = newValue & PCIConfigurationPorts.addressMask } }
  }
}

// MARK: - State

extension PCIHostBridge: StatefulDevice {
  package static let stateKind = "pci-host-bridge"
  package static let stateVersion = 1

  /// The bridge's own; its functions are devices with a state of theirs.
  package struct State: Codable, Equatable, Sendable {
    package var portAddress: UInt32
    package var function: PCIInterface.State
  }

  package var state: State {
    get { State(portAddress: configurationAddress, function: own.interface.state) }
    set {
      configurationAddress = newValue.portAddress
      own.restore(newValue.function)
    }
  }
}
