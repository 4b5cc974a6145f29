internal import Devices
internal import Foundation
internal import Glibc
internal import Testing

/// What others read out of what the bus says of itself.
@Suite struct PCIDescriptionTests {
  /// The node that QEMU's board has for its bridge, at the same addresses and inputs.
  @Test(.enabled(if: PlatformTool.qemu != nil)) func nodeIsThatOfVirt() throws {
    let file = PlatformTool.temporaryFile()
    defer { try? FileManager.default.removeItem(at: file) }
    let qemu = try #require(PlatformTool.qemu)
    _ = try PlatformTool.run(
      qemu, ["-M", "virt,dumpdtb=\(file.path)", "-display", "none", "-serial", "none"])
    let theirs = try DeviceTree(blob: Array(try Data(contentsOf: file)))
    let expected = try #require(theirs.node(at: "/soc/pci@30000000"))
    let plic = try #require(theirs.node(at: "/soc/plic@c000000")?["phandle"]?.phandle)

    var tree = DeviceTree()
    let machine = try PCIOwnMachine([])
    tree.node("soc") { machine.bridge.describe(in: &$0, interruptParent: plic) }
    let node = try #require(tree.node(at: "/soc/pci@30000000"))
    for property in expected.properties {
      switch property.name {
      // Theirs have 256 buses and a window for ports besides.
      case "reg": #expect(node["reg"] == .u64([0x3000_0000, 1 << 20]))
      case "bus-range": #expect(node["bus-range"] == .cells([0, 0]))
      case "ranges":
        let windows = try #require(property.value.cells)
        #expect(node["ranges"]?.cells == Array(windows.dropFirst(7)))
      default: #expect(node[property.name] == property.value, "\(property.name)")
      }
    }
  }

  /// lspci(8) reads a dump of the configuration space.
  @Test(.enabled(if: PCIDescriptionTests.lspci != nil)) func lspciUnderstands() throws {
    let socket = HostSocket(SOCK_DGRAM)
    let machine = try PCIOwnMachine([
      try VirtioEntropy(), try VirtioNet(port: socket.device, mac: VirtioNetTests.mac),
    ])
    let driver = try PCIVirtioDriver(machine, device: 2)
    try driver.setMessages(enabled: true)
    try driver.setConfig(0x04, 2, 0x406)
    var dump = ""
    for device in 0..<3 {
      dump += "00:0\(device).0 Device\n"
      for row in 0..<16 {
        let bytes = try (0..<16).map { String(format: " %02x", try machine.config(device, 16 * row + $0, 1)) }
        dump += String(format: "%02x:", 16 * row) + bytes.joined() + "\n"
      }
      dump += "\n"
    }
    let file = PlatformTool.temporaryFile()
    try Data(dump.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let lspci = try #require(Self.lspci)
    let output = try PlatformTool.run(lspci, ["-F", file.path, "-vvv", "-nn"])
    let text = String(decoding: output, as: UTF8.self)
    let functions = text.components(separatedBy: "\n\n").filter { !$0.isEmpty }
    try #require(functions.count == 3, "\(text)")
    #expect(functions[0].contains("Host bridge [0600]"))
    for line in [
      "Ethernet controller [0200]", "[1af4:1041] (rev 01)", "Control: I/O- Mem+ BusMaster+",
      "DisINTx+", "Status: Cap+", "Interrupt: pin A routed to IRQ 34",
      "Region 0: Memory at 400008000 (64-bit, non-prefetchable)",
      "[40] Power Management version 3", "Status: D0 NoSoftRst+",
      "Express (v2) Root Complex Integrated Endpoint, MSI 00", "FLReset+",
      "MSI-X: Enable+ Count=4 Masked-", "Vector table: BAR=0 offset=00004000", "PBA: BAR=0 offset=00005000",
      "Vendor Specific Information: VirtIO: CommonCfg", "BAR=0 offset=00000000 size=0000003c",
      "Vendor Specific Information: VirtIO: Notify",
      "BAR=0 offset=00003000 size=0000000c multiplier=00000004",
      "Vendor Specific Information: VirtIO: ISR", "BAR=0 offset=00001000 size=00000001",
      "Vendor Specific Information: VirtIO: DeviceCfg", "BAR=0 offset=00002000 size=0000000c",
      "Vendor Specific Information: VirtIO: <unknown>",
    ] { #expect(functions[2].contains(line), "\(line)\n\(functions[2])") }
    #expect(!text.contains("<chain"), "\(text)")
  }

  static let lspci = ["/usr/bin/lspci", "/sbin/lspci", "/usr/sbin/lspci"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }
}
