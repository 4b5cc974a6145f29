internal import Devices
internal import Foundation
internal import Testing

/// AML's encodings against the specification's, and against Intel's compiler.
@Suite struct AMLTests {
  @Test(
    arguments: [
      (0, [0x00]), (1, [0x01]), (2, [0x0A, 0x02]), (0xFF, [0x0A, 0xFF]), (0x100, [0x0B, 0x00, 0x01]),
      (0x10000, [0x0C, 0, 0, 1, 0]), (0x1_0000_0000, [0x0E, 0, 0, 0, 0, 1, 0, 0, 0]), (.max, [0xFF]),
    ] as [(UInt64, [UInt8])])
  func integers(value: UInt64, bytes: [UInt8]) {
    var block = AML.Block()
    block.return(.integer(value))
    #expect(block.bytes == [0xA4] + bytes)
  }

  @Test(
    arguments: [
      ("PCI0", "PCI0"), ("_S5", "_S5_"), ("\\_SB", "\\_SB_"), ("\\_SB.GED", "\\\u{2E}_SB_GED_"),
      ("^A.B.C", "^\u{2F}\u{03}A___B___C___"), ("\\", "\\\0"),
    ])
  func names(path: String, bytes: String) {
    var block = AML.Block()
    block.notify(AML.Name(path), 0)
    #expect(block.bytes == [0x86] + bytes.utf8 + [0])
  }

  /// The example of a Plug and Play ID and of a UUID in the specification of ASL.
  @Test func identifiers() {
    var block = AML.Block()
    block.return(.eisaID("PNP0501"))
    #expect(block.bytes == [0xA4, 0x0C, 0x41, 0xD0, 0x05, 0x01])
    var uuid = AML.Block()
    uuid.return(.uuid("aabbccdd-eeff-gghh-iijj-kkllmmnnoopp".unplaced))
    let order: [UInt8] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
    #expect(uuid.bytes == [0xA4, 0x11, 0x13, 0x0A, 0x10] + order)
  }

  /// A package's length has one to four bytes, which count too.
  @Test(arguments: [0, 29, 30, 31, 2044, 2045, 2046, 2047, 70_000, 524_284, 524_285, 524_286, 524_287])
  func lengths(count: Int) {
    var block = AML.Block()
    block.scope("\\") { inner in
      for _ in 0..<count { inner.return(0) }
    }
    // Two bytes of name and two for each term.
    let content = block.bytes.dropFirst()
    let lead = content[content.startIndex]
    let more = Int(lead >> 6)
    var length = more == 0 ? Int(lead) : Int(lead & 0x0F)
    for place in 0..<more { length |= Int(content[content.startIndex + 1 + place]) << (4 + 8 * place) }
    #expect(length == content.count && length == 1 + more + 2 + 2 * count)
  }

  /// Lengths around those at which another byte is due, as the compiler has them.
  @Test(
    .enabled(if: PlatformTool.iasl != nil), arguments: [50, 55, 56, 57, 58, 59, 60, 250, 4070, 4085, 5000])
  func lengthsAreTheCompilers(count: Int) throws {
    let text = String(repeating: "x", count: count)
    var block = AML.Block()
    block.scope("\\_SB") { $0.device("A") { $0.name("B", .string(text)) } }
    let source = """
      DefinitionBlock ("", "DSDT", 2, "VOLARY", "VOLARYPC", 1) {
        Scope (\\_SB) { Device (A) { Name (B, "\(text)") } }
      }
      """
    // It has its say about a device without an ID.
    #expect(block.bytes == Array(try ACPICompiler().compile(source, isStrict: false)[36...]))
  }

  @Test(.enabled(if: PlatformTool.iasl != nil)) func statementsAreTheCompilers() throws {
    var block = AML.Block()
    block.scope("\\_SB") {
      $0.device("DEV") {
        $0.name("_HID", "VLRY0002")
        $0.name(
          "_CRS",
          .resources([
            .ports(0x2F8, count: 8), .interrupt(3, .edge), .interrupt(300, .sharedLevel),
            .interrupt(5, .level),
            .memory(0xFED0_0000..<0xFED0_1000), .memory(0x1_0000_0000..<0x1_0000_2000),
          ]))
        $0.ports("REG", 0x600..<0x60C, fields: [("CTL", bytes: 1), ("LONG", bytes: 4), ("BIG", bytes: 6)])
        $0.method("TEST", arguments: 2, isSerialized: true) {
          $0.store(.and(.argument(0), .or(.argument(1), 0x1234)), in: .local(7))
          $0.and(.local(7), 15, in: .local(1))
          $0.or(.local(7), 16, in: .local(2))
          $0.if(.not(.equal(.local(7), .named("CTL")))) {
            $0.store("text", in: .local(0))
            $0.return(.package([1, "a", .buffer([1, 2, 3]), .package([])]))
          }
          $0.else { $0.notify("\\_SB.DEV", 0x80) }
          $0.return(.uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766"))
        }
      }
      $0.device("BUS") {
        $0.name("_HID", .eisaID("PNP0A08"))
        $0.name(
          "_CRS",
          .resources([
            .buses(0..<256), .window(0xC000_0000..<0xE000_0000), .window(0x8_0000_0000..<0x10_0000_0000),
          ]))
      }
    }
    let source = """
      DefinitionBlock ("", "DSDT", 2, "VOLARY", "VOLARYPC", 1) {
        Scope (\\_SB) {
          Device (DEV) {
            Name (_HID, "VLRY0002")
            Name (_CRS, ResourceTemplate () {
              IO (Decode16, 0x2F8, 0x2F8, 1, 8)
              Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 3 }
              Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 300 }
              Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { 5 }
              Memory32Fixed (ReadWrite, 0xFED00000, 0x1000)
              QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                0, 0x100000000, 0x100001FFF, 0, 0x2000)
            })
            OperationRegion (REG, SystemIO, 0x600, 12)
            Field (REG, ByteAcc, NoLock, Preserve) { CTL, 8, LONG, 32, BIG, 48 }
            Method (TEST, 2, Serialized) {
              Store (And (Arg0, Or (Arg1, 0x1234)), Local7)
              And (Local7, 15, Local1)
              Or (Local7, 16, Local2)
              If (LNot (LEqual (Local7, CTL))) {
                Store ("text", Local0)
                Return (Package () { 1, "a", Buffer () { 1, 2, 3 }, Package () {} })
              } Else {
                Notify (\\_SB.DEV, 0x80)
              }
              Return (ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766"))
            }
          }
          Device (BUS) {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CRS, ResourceTemplate () {
              WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 255, 0, 256)
              DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                0, 0xC0000000, 0xDFFFFFFF, 0, 0x20000000)
              QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                0, 0x800000000, 0xFFFFFFFFF, 0, 0x800000000)
            })
          }
        }
      }
      """
    #expect(block.bytes == Array(try ACPICompiler().compile(source, isStrict: false)[36...]))
  }
}

extension String {
  /// A UUID of the bytes 0 to 15, written as the specification writes its pattern.
  fileprivate var unplaced: String {
    var text = self
    for (place, pair) in [
      "aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj", "kk", "ll", "mm", "nn", "oo",
      "pp",
    ].enumerated() { text = text.replacingOccurrences(of: pair, with: "0" + String(place % 16, radix: 16)) }
    return text
  }
}
