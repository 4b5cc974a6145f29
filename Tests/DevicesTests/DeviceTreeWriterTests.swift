internal import Devices
internal import Testing

/// The writer against dtc: what we write it must read as the source that a person would have written.
@Suite("Device tree writer") struct DeviceTreeWriterTests {
  /// Every kind of value, nesting, a forward reference, reservations, names that occur twice.
  static func example() -> DeviceTree {
    var tree = DeviceTree()
    let plic = tree.newPHandle()
    let cpu = tree.newPHandle()
    tree.bootCPU = 3
    tree.reservations = [
      DeviceTree.Reservation(address: 0x8000_0000, size: 0x2_0000),
      DeviceTree.Reservation(address: 0x12_3456_7000, size: 0x1000),
    ]
    tree.property("#address-cells", .cells([2]))
    tree.property("#size-cells", .cells([2]))
    tree.property("model", .string("volary,virt"))
    tree.property("interrupt-parent", .phandle(plic))
    tree.node("chosen") {
      $0.property("bootargs", .string(""))
      $0.property("rng-seed", .bytes([0xDE, 0xAD, 0xBE, 0xEF, 0x01]))
    }
    tree.node("memory", at: 0x8000_0000) {
      $0.property("device_type", .string("memory"))
      $0.property("reg", .u64([0x8000_0000, 0x1_4000_0000]))
    }
    tree.node("cpus") {
      $0.property("#address-cells", .cells([1]))
      $0.property("#size-cells", .cells([0]))
      $0.node("cpu@0") {
        $0.property("device_type", .string("cpu"))
        $0.property("reg", .cells([0]))
        $0.node("interrupt-controller") {
          $0.property("interrupt-controller")
          $0.property("#interrupt-cells", .cells([1]))
          $0.phandle(cpu)
        }
      }
    }
    tree.node("soc") { $0.property("ranges") }
    tree.node("soc") { soc in
      soc.property("compatible", .string("replaced"))
      soc.property("compatible", .strings(["simple-bus", "test,bus"]))
      soc.node("plic", at: 0xC00_0000) {
        $0.property("interrupts-extended", .phandle(cpu) + .cells([9, 0xFFFF_FFFF]))
        $0.phandle(plic)
      }
    }
    return tree
  }

  static let exampleSource = """
    /dts-v1/;
    /memreserve/ 0x80000000 0x20000;
    /memreserve/ 0x1234567000 0x1000;
    / {
      #address-cells = <2>;
      #size-cells = <2>;
      model = "volary,virt";
      interrupt-parent = <1>;
      chosen { bootargs = ""; rng-seed = [de ad be ef 01]; };
      memory@80000000 { device_type = "memory"; reg = <0 0x80000000 1 0x40000000>; };
      cpus {
        #address-cells = <1>;
        #size-cells = <0>;
        cpu@0 {
          device_type = "cpu";
          reg = <0>;
          interrupt-controller { interrupt-controller; #interrupt-cells = <1>; phandle = <2>; };
        };
      };
      soc {
        ranges;
        compatible = "simple-bus", "test,bus";
        plic@c000000 { interrupts-extended = <2 9 0xffffffff>; phandle = <1>; };
      };
    };
    """

  /// Source text from a blob, as dtc writes it.
  static func source(of blob: [UInt8]) throws -> String {
    let dtc = try #require(PlatformTool.dtc)
    return String(
      decoding: try PlatformTool.run(dtc, ["-q", "-I", "dtb", "-O", "dts"], input: blob), as: UTF8.self)
  }

  /// A blob from source text, as dtc writes it.
  static func blob(of source: String, _ options: [String]) throws -> [UInt8] {
    let dtc = try #require(PlatformTool.dtc)
    return try PlatformTool.run(
      dtc, ["-q", "-I", "dts", "-O", "dtb"] + options, input: Array(source.utf8))
  }

  @Test(.enabled(if: PlatformTool.dtc != nil)) func dtcReadsWhatWeWrite() throws {
    let ours = Self.example().blob()
    let theirs = try Self.blob(of: Self.exampleSource, ["-b", "3"])
    #expect(try Self.source(of: ours) == Self.source(of: theirs))
    // The header's boot CPU does not show in the source.
    #expect(Array(ours[28..<32]) == [0, 0, 0, 3] && ours[28..<32] == theirs[28..<32])
  }

  /// Layout by the specification's chapter 5, byte by byte.
  @Test func layout() {
    var tree = DeviceTree()
    tree.property("a", .cells([1]))
    tree.node("n") { $0.property("a") }
    let words: [UInt32] = [
      0xD00D_FEED, 120, 56, 112, 40, 17, 16, 0, 2, 56,  // header
      0, 0, 0, 0,  // reservations: the end alone
      1, 0, 3, 4, 0, 1,  // the root, a = <1>
      1, 0x6E00_0000, 3, 0, 0, 2,  // n, a, the end of n
      2, 9,  // the ends of the root and of all
      0x6100_0000, 0,  // "a", and up to a multiple of eight
    ]
    #expect(tree.blob() == platformBytes(words))
  }

  @Test func namesAreStoredOnce() {
    var tree = DeviceTree()
    for index in 0..<100 { tree.node("n\(index)") { $0.property("compatible", .string("x")) } }
    let blob = tree.blob()
    let name = Array("compatible".utf8)
    let places = blob.indices.filter { blob[$0...].starts(with: name) }
    #expect(places.count == 1)
  }

  @Test(arguments: [0, 1, 7, 4096]) func padding(bytes: Int) throws {
    let blob = Self.example().blob(padding: bytes)
    #expect(blob.count % 8 == 0 && blob.count >= Self.example().blob().count + bytes - 7)
    #expect(try DeviceTree(blob: blob) == Self.example())
  }
}
