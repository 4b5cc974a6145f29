internal import Devices
internal import Foundation
internal import Testing

/// The tables against Intel's compiler, which reads them back and makes them of source text.
@Suite("ACPI tables") struct ACPITablesTests {
  @Test func areFoundFromTheRootPointer() throws {
    let built = try ACPIBoard().build()
    let tables = try ACPIReader(built).tables(rsdp: built.rsdp)
    #expect(tables.keys.sorted() == ["APIC", "DSDT", "FACP", "MCFG", "SPCR", "XSDT"])
    #expect(built.rsdp == ACPIBoard.area)
    #expect(built.generationID?.address == 0xA1000)
    #expect(ACPIReader(built).slice(0xA1000, 16) == Array(0..<16))
    let least = try ACPIBoard(hasAll: false).build()
    #expect(try ACPIReader(least).tables(rsdp: least.rsdp).count == 5)
    #expect(least.generationID == nil)
  }

  /// The source in Tests/Golden, compiled, is what our devices say.
  @Test(.enabled(if: PlatformTool.iasl != nil)) func objectsAreThoseOfTheSource() throws {
    let built = try ACPIBoard().build()
    let ours = try #require(try ACPIReader(built).tables(rsdp: built.rsdp)["DSDT"])
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Golden/acpi/dsdt.asl")
    let compiler = try ACPICompiler()
    let theirs = try compiler.compile(try String(contentsOf: file, encoding: .utf8))
    if Array(ours[36...]) != Array(theirs[36...]) { Issue.record("\(try compiler.disassemble(ours))") }
  }

  /// Each table survives being made source and a table again.
  @Test(
    .enabled(if: PlatformTool.iasl != nil), arguments: ["APIC", "DSDT", "FACP", "MCFG", "SPCR"],
    [true, false])
  func roundTrip(signature: String, hasAll: Bool) throws {
    let built = try ACPIBoard(hasAll: hasAll).build()
    guard var ours = try ACPIReader(built).tables(rsdp: built.rsdp)[signature] else {
      #expect(signature == "SPCR" && !hasAll)
      return
    }
    let compiler = try ACPICompiler()
    var theirs = try compiler.compile(try compiler.disassemble(ours))
    // The compiler signs what it made: checksum, its name and version.
    for place in [9] + Array(28..<36) { (ours[place], theirs[place]) = (0, 0) }
    #expect(ours == theirs)
  }

  /// What the disassembler says of fields.
  @Test(
    .enabled(if: PlatformTool.iasl != nil),
    arguments: [
      (
        "FACP",
        [
          "Revision : 06", "FADT Minor Revision : 05", "Hardware Reduced (V5) : 1",
          "CMOS RTC Not Present (V5) : 0",
          "8042 Present on ports 60/64 (V2) : 0", "VGA Not Present (V4) : 1", "RTC Century Index : 32",
          "Control Method Power Button (V1) : 1", "32-bit PM Timer (V1) : 1",
          "Reset Register Supported (V2) : 1",
          "Value to cause reset : 01", "PM Timer Block Address : 00000608",
          "Hypervisor ID : ",
        ]
      ),
      (
        "APIC",
        [
          "Local Apic Address : FEE00000", "PC-AT Compatibility : 0", "Local Apic ID : 00",
          "Local Apic ID : 01",
          "Processor Enabled : 1", "I/O Apic ID : 00", "Address : FEC00000",
        ]
      ),
      ("MCFG", ["Base Address : 00000000E8000000", "Start Bus Number : 00", "End Bus Number : 00"]),
      (
        "SPCR",
        ["Interface Type : 00", "Address : 00000000000003F8", "Interrupt : 00000004", "Baud Rate : 07"]
      ),
    ] as [(String, [String])])
  func fields(signature: String, expected: [String]) throws {
    let built = try ACPIBoard().build()
    let table = try #require(try ACPIReader(built).tables(rsdp: built.rsdp)[signature])
    let text = try ACPICompiler().disassemble(table).split(whereSeparator: { $0.isWhitespace })
      .joined(separator: " ")
    for line in expected { #expect(text.contains(line), "\(line)\n\(text)") }
  }

  /// The registers, in the order in which the FADT names them.
  @Test func registersOfPowerManagement() throws {
    let built = try ACPIBoard().build()
    let table = try #require(try ACPIReader(built).tables(rsdp: built.rsdp)["FACP"])
    #expect(table.count == 276)
    #expect(Array(table[116..<129]) == [1, 8, 0, 1, 0x04, 0x06, 0, 0, 0, 0, 0, 0, 1])
    #expect(Array(table[208..<220]) == [1, 32, 0, 3, 0x08, 0x06, 0, 0, 0, 0, 0, 0])
    #expect(Array(table[244..<256]) == [1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0])
    #expect(Array(table[256..<268]) == [1, 8, 0, 1, 0x01, 0x06, 0, 0, 0, 0, 0, 0])
  }

  @Test(arguments: [1, 64, 255]) func processors(count: Int) throws {
    var board = try ACPIBoard(hasAll: false)
    board.description.processors = count
    let built = board.build()
    let table = try #require(try ACPIReader(built).tables(rsdp: built.rsdp)["APIC"])
    #expect(table.count == 44 + 8 * count + 12)
    let ids = (0..<count).map { table[44 + 8 * $0 + 3] }
    #expect(ids == (0..<count).map { UInt8($0) })
  }
}
