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

  /// A field of the area that holds the address of another place in it.
  package struct Pointer: Equatable, Sendable {
    /// Where it is in the area.
    package let offset: Int
    /// Its bytes: 4 or 8.
    package let size: Int
  }

  /// A byte that makes the sum of a range of the area zero.
  package struct Checksum: Equatable, Sendable {
    package let offset: Int
    package let range: Range<Int>
  }

  /// The area's content.
  package let bytes: [UInt8]
  /// What has to change, each by the same distance, for the area to be somewhere else; and what has to be summed up
  /// anew then. The generation ID's place is not among them.
  package let pointers: [Pointer]
  package let checksums: [Checksum]
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
    let dsdt = area.place(board.differentiatedDescription(generationID))
    var tables = [area.place(board.fixedDescription(dsdt: dsdt))]
    area.notePointer(at: tables[0] + UInt64(ACPITables.Board.dsdtPointer), size: 4)
    area.notePointer(at: tables[0] + UInt64(ACPITables.Board.extendedDSDTPointer), size: 8)
    tables.append(area.place(board.multipleAPICDescription))
    if let pci = board.configurationSpaceDescription { tables.append(area.place(pci)) }
    if let console = board.serialConsoleDescription { tables.append(area.place(console)) }
    var root = ACPITable("XSDT", revision: 1)
    for table in tables { root.append(table) }
    let xsdt = area.place(root)
    for index in tables.indices {
      area.notePointer(at: xsdt + UInt64(ACPITable.headerSize + 8 * index), size: 8)
    }
    area.replace(at: address, RootPointer.bytes(xsdt: xsdt))
    area.notePointer(at: address + UInt64(RootPointer.pointer), size: 8)
    area.checksums += RootPointer.checksums
    precondition(area.bytes.count <= capacity, "ACPI's tables do not fit their area")
    return ACPITables(
      bytes: area.bytes, pointers: area.pointers, checksums: area.checksums, rsdp: address,
      generationID: generationID)
  }

  /// The tables so far, one after the other.
  private struct Area {
    let address: UInt64
    private(set) var bytes: [UInt8] = []
    private(set) var pointers: [Pointer] = []
    var checksums: [Checksum] = []

    init(address: UInt64) { self.address = address }

    mutating func notePointer(at place: UInt64, size: Int) {
      pointers.append(Pointer(offset: Int(place - address), size: size))
    }

    /// Puts a table at the next multiple of 16, and returns where that is.
    mutating func place(_ table: ACPITable) -> UInt64 {
      let content = table.finished
      let place = place(content)
      let start = Int(place - address)
      checksums.append(
        Checksum(offset: start + ACPITable.checksumOffset, range: start..<start + content.count))
      return place
    }

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
    private static let firstChecksum = 8
    private static let checksum = 32
    /// Where the XSDT's address is.
    static let pointer = 24

    static let checksums = [
      Checksum(offset: firstChecksum, range: 0..<firstSize), Checksum(offset: checksum, range: 0..<size),
    ]

    static func bytes(xsdt: UInt64) -> [UInt8] {
      var bytes = Array("RSD PTR ".utf8) + [0] + Array("VOLARY".utf8) + [2, 0, 0, 0, 0]
      bytes[firstChecksum] = ACPITable.checksum(bytes)
      precondition(bytes.count == firstSize)
      bytes += UInt32(size).littleEndianBytes + xsdt.littleEndianBytes + [0, 0, 0, 0]
      bytes[checksum] = ACPITable.checksum(bytes)
      return bytes
    }
  }
}
