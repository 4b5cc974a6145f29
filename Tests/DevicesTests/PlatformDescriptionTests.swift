internal import Devices
internal import Foundation
internal import Testing

/// The devices' nodes against those that QEMU's `virt` board has at the same addresses.
@Suite("Platform nodes", .enabled(if: PlatformTool.qemu != nil && PlatformTool.dtc != nil))
struct PlatformDescriptionTests {
  /// QEMU's own tree of a board with two harts.
  private static func virtBlob() throws -> [UInt8] {
    let file = PlatformTool.temporaryFile()
    defer { try? FileManager.default.removeItem(at: file) }
    let qemu = try #require(PlatformTool.qemu)
    _ = try PlatformTool.run(
      qemu, ["-M", "virt,dumpdtb=\(file.path)", "-smp", "2", "-display", "none", "-serial", "none"])
    return Array(try Data(contentsOf: file))
  }

  @Test func readsAndWritesTheWholeBoard() throws {
    let blob = try Self.virtBlob()
    let tree = try DeviceTree(blob: blob)
    #expect(try DeviceTreeWriterTests.source(of: tree.blob()) == DeviceTreeWriterTests.source(of: blob))
  }

  @Test func nodesAreThoseOfVirt() throws {
    let theirs = try DeviceTree(blob: try Self.virtBlob())
    let phandle = { (path: String) throws in try #require(theirs.node(at: path)?["phandle"]?.phandle) }
    let harts = try (0..<2).map { try phandle("/cpus/cpu@\($0)/interrupt-controller") }

    let pins = (0..<2).map { _ in PlatformPin() }
    let contexts = pins.enumerated().flatMap { hart, pin in
      [PLIC.Mode.machine, .supervisor].map { PLIC.Context(hart: hart, mode: $0, pin: pin) }
    }
    let plic = PLIC(contexts: contexts)
    let uart = UART16550(interrupt: InterruptLine(sink: plic, input: 10)) { _ in }
    let clock = PlatformClock(now: 0)
    let rtc = GoldfishRTC(
      interrupt: InterruptLine(sink: plic, input: 11), clock: { clock.now }, scheduler: clock)
    let controller = SystemController { _ in }

    var ours = DeviceTree()
    try ours.node("soc") { soc in
      uart.describe(in: &soc, at: 0x1000_0000)
      rtc.describe(in: &soc, at: 0x10_1000)
      plic.describe(in: &soc, at: 0xC00_0000, phandle: try phandle("/soc/plic@c000000")) { harts[$0] }
    }
    controller.describe(
      in: &ours.root, bus: "soc", at: 0x10_0000, phandle: try phandle("/soc/test@100000"))

    for path in [
      "/soc/serial@10000000", "/soc/rtc@101000", "/soc/plic@c000000", "/soc/test@100000", "/poweroff",
      "/reboot",
    ] {
      let expected = try #require(theirs.node(at: path))
      let node = try #require(ours.node(at: path), "\(path)")
      // The bus names the interrupt controller for all.
      for property in expected.properties where property.name != "interrupt-parent" {
        #expect(node[property.name] == property.value, "\(path) \(property.name)")
      }
    }
  }
}
