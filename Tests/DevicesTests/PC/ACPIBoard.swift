internal import Devices
internal import Foundation
internal import Testing

/// A PC that tables are made for.
struct ACPIBoard {
  static let area: UInt64 = 0xA0000
  private final class Sink: InterruptSink {
    func setInput(_ input: Int, level: Bool) {}
  }

  var description: ACPITables.Board

  /// Two CPUs, three functions on the bus. `hasAll` adds what boards may leave out.
  init(hasAll: Bool = true) throws {
    let sink = Sink()
    let line = { (input: Int) in InterruptLine(sink: sink, input: input) }
    let alarms = PlatformClock(now: 0)
    let router = PCIInterruptRouter(lines: (0..<4).map { line(16 + $0) })
    let memory = try PCIOwnMachine.makeMemory()
    let functions = try (1...3).map { place in
      let address = PCIAddress(device: place)
      return (
        address,
        VirtioPCITransport(
          device: try VirtioEntropy(), memory: memory, interrupt: router.interruptLine(of: address),
          messages: PCMessages(), report: { _ in })
      )
    }
    let bridge = PCIHostBridge(
      map: PCIHostBridge.AddressMap(
        ecam: 0xE800_0000, memory32: 0xC000_0000..<0xE800_0000,
        memory64: 0x1_8000_0000..<0x41_8000_0000),
      interrupts: router, functions: functions)
    let power = ACPIPowerManagement(interrupt: line(9), clock: { 0 }, request: { _ in })
    description = ACPITables.Board(processors: 2, power: (power, 0x600))
    description.pci = (bridge, 1)
    description.serial = (UART16550(interrupt: line(4), output: { _ in }), 0x3F8)
    guard hasAll else { return }
    description.clock = CMOSClock(interrupt: line(8), clock: { 0 }, scheduler: alarms)
    description.devices = [(PanicDevice { _ in }, UInt64(PanicDevice.base))]
    description.hasSerialConsole = true
    description.generationID = Array(0..<16)
  }

  func build() -> ACPITables { ACPITables.build(for: description, at: Self.area) }
}

/// Tables as a guest finds them, from the root pointer on.
struct ACPIReader {
  let bytes: [UInt8]
  let base: UInt64

  init(_ tables: ACPITables, base: UInt64 = ACPIBoard.area) {
    bytes = tables.bytes
    self.base = base
  }

  func number<Number: FixedWidthInteger>(_ address: UInt64, as: Number.Type = Number.self) -> Number {
    let offset = Int(address - base)
    return bytes[offset..<offset + Number.bitWidth / 8].reversed().reduce(0) { $0 << 8 | Number($1) }
  }

  func slice(_ address: UInt64, _ count: Int) -> [UInt8] {
    Array(bytes[Int(address - base)..<Int(address - base) + count])
  }

  /// The table at an address.
  func table(_ address: UInt64) -> [UInt8] { slice(address, Int(number(address + 4, as: UInt32.self))) }

  /// All tables by their signatures.
  func tables(rsdp: UInt64) throws -> [String: [UInt8]] {
    #expect(String(decoding: slice(rsdp, 8), as: UTF8.self) == "RSD PTR ")
    #expect(slice(rsdp, 20).reduce(0, &+) == 0 && slice(rsdp, 36).reduce(0, &+) == 0)
    #expect(number(rsdp + 15, as: UInt8.self) == 2)
    let root = table(number(rsdp + 24))
    var found = ["XSDT": root]
    for offset in stride(from: 36, to: root.count, by: 8) {
      let address = root[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
      let table = table(address)
      found[String(decoding: table[..<4], as: UTF8.self)] = table
    }
    let fixed = try #require(found["FACP"])
    let dsdt = fixed[140..<148].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    #expect(fixed[40..<44].reversed().reduce(0) { $0 << 8 | UInt64($1) } == dsdt)
    found["DSDT"] = table(dsdt)
    for (name, table) in found { #expect(table.reduce(0, &+) == 0, "\(name)'s checksum") }
    return found
  }
}

/// Intel's compiler and disassembler for ACPI, in a folder of its own.
final class ACPICompiler {
  private let folder: URL
  private let program: String

  init() throws {
    program = try #require(PlatformTool.iasl)
    folder = PlatformTool.temporaryFile()
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// The source that a table is.
  func disassemble(_ table: [UInt8]) throws -> String {
    try Data(table).write(to: folder.appending(path: "table.aml"))
    let said = try run(["-d", "table.aml"])
    #expect(!said.contains("Error") && !said.contains("Warning"), "\(said)")
    return try String(contentsOf: folder.appending(path: "table.dsl"), encoding: .utf8)
  }

  /// The table that a source is, with names as long as they are written there; it must be without fault, and without remarks if it `isStrict`.
  func compile(_ source: String, isStrict: Bool = true) throws -> [UInt8] {
    try source.write(to: folder.appending(path: "source.dsl"), atomically: true, encoding: .utf8)
    let said = try run(["-on", "-p", "compiled", "source.dsl"])
    if let verdict = said.split(separator: "\n").first(where: { $0.contains("Errors,") }) {
      #expect(verdict.contains(isStrict ? " 0 Errors, 0 Warnings, 0 Remarks" : " 0 Errors"), "\(said)")
    }
    return Array(try Data(contentsOf: folder.appending(path: "compiled.aml")))
  }

  private func run(_ arguments: [String]) throws -> String {
    let paths = arguments.map { $0.hasPrefix("-") ? $0 : folder.appending(path: $0).path }
    return String(decoding: try PlatformTool.run(program, paths), as: UTF8.self)
  }
}
