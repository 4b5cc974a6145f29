/// The tables by which a PC's guest learns what hardware it has (ACPI 6.5 chapter 5), for a board without ACPI's
/// fixed hardware ("hardware-reduced").
///
/// All of them lie in one area, the root pointer (RSDP) at its start, then the tables, and a page for the
/// generation ID if there is one. CPUs are in the MADT alone: objects for them would be for power states and
/// hot-plugging.
package struct ACPITables: Sendable {
  /// The board that is described.
  package struct Board {
    /// CPUs, whose APIC IDs count from 0.
    package var processors: Int
    /// Where the local APICs' registers are.
    package var localAPIC: UInt64 = 0xFEE0_0000
    /// Where the I/O APIC is, whose inputs are the global system interrupts.
    package var ioAPIC: UInt64 = 0xFEC0_0000
    package var power: (device: ACPIPowerManagement, base: UInt16)
    package var pci: (bridge: PCIHostBridge, buses: Int)?
    /// The first serial port.
    package var serial: (device: UART16550, base: UInt16)?
    /// Whether firmware's and the kernel's own messages go to the serial port too (table SPCR).
    package var hasSerialConsole = false
    /// A clock with a register for the century, at the ports where PCs have it.
    package var clock: CMOSClock?
    /// Other devices, and their first ports or addresses.
    package var devices: [(device: any ACPIDescribed, base: UInt64)] = []
    /// What guests are told when they have become another machine; 16 bytes.
    package var generationID: [UInt8]?

    package init(processors: Int, power: (device: ACPIPowerManagement, base: UInt16)) {
      self.processors = processors
      self.power = power
    }
  }

  /// The area's content.
  package let bytes: [UInt8]
  /// Where the root pointer is.
  package let rsdp: UInt64
  /// Where the generation ID is, for a board that has one.
  package let generationID: VMGenerationID?

  /// The tables for a board, to be put at an address that is a multiple of 4096, of at most `capacity` bytes.
  package static func build(for board: Board, at address: UInt64, capacity: Int = 0x4_0000) -> ACPITables {
    precondition(address % 4096 == 0, "ACPI's area begins with a page")
    precondition((1...255).contains(board.processors), "APIC IDs of tables have eight bits")
    // The generation ID's page comes first behind the root pointer's, since the DSDT names it.
    let generationID = board.generationID.map { id in
      precondition(id.count == VMGenerationID.size, "a generation ID has 16 bytes")
      return VMGenerationID(address: address + 4096)
    }
    var area = Area(address: address)
    area.reserve(RootPointer.size)
    if let generationID, let id = board.generationID {
      area.reserve(to: generationID.address)
      area.place(id)
      area.reserve(to: generationID.address + 4096)
    }
    let dsdt = area.place(board.differentiatedDescription(generationID).finished)
    var tables = [area.place(board.fixedDescription(dsdt: dsdt).finished)]
    tables.append(area.place(board.multipleAPICDescription.finished))
    if let pci = board.configurationSpaceDescription { tables.append(area.place(pci.finished)) }
    if let console = board.serialConsoleDescription { tables.append(area.place(console.finished)) }
    var root = ACPITable("XSDT", revision: 1)
    for table in tables { root.append(table) }
    let xsdt = area.place(root.finished)
    area.replace(at: address, RootPointer.bytes(xsdt: xsdt))
    precondition(area.bytes.count <= capacity, "ACPI's tables do not fit their area")
    return ACPITables(bytes: area.bytes, rsdp: address, generationID: generationID)
  }

  /// The tables so far, one after the other.
  private struct Area {
    let address: UInt64
    private(set) var bytes: [UInt8] = []

    init(address: UInt64) { self.address = address }

    mutating func reserve(_ count: Int) { bytes += [UInt8](repeating: 0, count: count) }
    mutating func reserve(to end: UInt64) { reserve(Int(end - address) - bytes.count) }

    /// Puts content at the next multiple of 16, and returns where that is.
    @discardableResult
    mutating func place(_ content: [UInt8]) -> UInt64 {
      reserve(-bytes.count & 15)
      defer { bytes += content }
      return address + UInt64(bytes.count)
    }

    mutating func replace(at place: UInt64, _ content: [UInt8]) {
      let offset = Int(place - address)
      bytes.replaceSubrange(offset..<offset + content.count, with: content)
    }
  }

  /// The root system description pointer (section 5.2.5.3).
  private enum RootPointer {
    static let size = 36
    /// What the first version of ACPI had, which has a checksum of its own.
    private static let firstSize = 20

    static func bytes(xsdt: UInt64) -> [UInt8] {
      var bytes = Array("RSD PTR ".utf8) + [0] + Array("VOLARY".utf8) + [2, 0, 0, 0, 0]
      bytes[8] = ACPITable.checksum(bytes)
      precondition(bytes.count == firstSize)
      bytes += UInt32(size).littleEndianBytes + xsdt.littleEndianBytes + [0, 0, 0, 0]
      bytes[32] = ACPITable.checksum(bytes)
      return bytes
    }
  }
}
