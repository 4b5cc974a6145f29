internal import Devices
internal import Testing

@Suite("Device tree reader") struct DeviceTreeReaderTests {
  @Test(.enabled(if: PlatformTool.dtc != nil), arguments: [["-V", "17"], ["-V", "16"], ["-p", "512"]])
  func readsWhatDtcWrites(options: [String]) throws {
    let blob = try DeviceTreeWriterTests.blob(of: DeviceTreeWriterTests.exampleSource, options + ["-b", "3"])
    #expect(try DeviceTree(blob: blob) == DeviceTreeWriterTests.example())
  }

  @Test func readsWhatWeWrite() throws {
    let tree = DeviceTreeWriterTests.example()
    #expect(try DeviceTree(blob: tree.blob()) == tree)
    #expect(try DeviceTree(blob: tree.blob() + [1, 2, 3]) == tree)
  }

  @Test func looksUp() throws {
    var tree = try DeviceTree(blob: DeviceTreeWriterTests.example().blob())
    #expect(tree.node(at: "/")?["model"]?.string == "volary,virt")
    #expect(tree.node(at: "/soc")?["compatible"]?.strings == ["simple-bus", "test,bus"])
    #expect(tree.node(at: "/memory@80000000")?["reg"]?.u64 == [0x8000_0000, 0x1_4000_0000])
    #expect(tree.node(at: "/soc/none") == nil)
    #expect(tree.node(at: "soc") == nil)
    let plic = try #require(tree.root["interrupt-parent"]?.phandle)
    #expect(tree.node(plic)?.name == "plic@c000000")
    // New phandles do not meet those read.
    #expect(tree.newPHandle().rawValue == 3)
  }

  @Test func valuesOfTheWrongShapeAreNil() {
    typealias Value = DeviceTree.Value
    #expect(Value.bytes([1, 2, 3]).cells == nil)
    #expect(Value.cells([1]).u64 == nil)
    #expect(Value.empty.cells == [] && Value.empty.string == nil && Value.empty.phandle == nil)
    #expect(Value.bytes([65]).string == nil)
    #expect(Value.bytes([0xFF, 0]).string == nil)
    #expect(Value.strings(["a", ""]).string == nil)
    #expect(Value.strings(["a", "", "b"]).strings == ["a", "", "b"])
    #expect(Value.cells([1, 2]).phandle == nil)
  }

  // MARK: - What is wrong with a blob

  /// A blob of version 17 with one word of the header changed.
  private static func header(_ offset: Int, _ value: UInt32) -> [UInt8] {
    var blob = DeviceTreeWriterTests.example().blob()
    for index in 0..<4 { blob[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index)) }
    return blob
  }

  @Test(
    arguments: [
      (header(0, 0xD00D_FEEE), .badMagic(0xD00D_FEEE)), (header(4, 0xFFFF_FFFF), .truncated),
      (header(4, 39), .truncated), (header(8, 0xFFFF_FFFC), .badBlock(.structure)),
      (header(8, 58), .badBlock(.structure)), (header(12, 0xFFFF_FFFF), .badBlock(.strings)),
      (header(16, 44), .badBlock(.reservations)), (header(16, 0xFFFF_FFF8), .badBlock(.reservations)),
      (header(20, 15), .unsupportedVersion(15, lastCompatible: 16)),
      (header(24, 18), .unsupportedVersion(17, lastCompatible: 18)),
      (header(32, 0x7FFF_FFFF), .badBlock(.strings)), (header(36, 0xFFFF_FFFF), .badBlock(.structure)),
      (header(36, 8), .unterminated(.structure)), (header(32, 0), .badName(offset: 0)),
      ([], .truncated), ([0xD0, 0x0D, 0xFE, 0xED], .truncated),
      ([UInt8](repeating: 0, count: 3 << 20), .tooLarge(size: 3 << 20)),
    ] as [([UInt8], DeviceTreeError)])
  func badHeaders(blob: [UInt8], expected: DeviceTreeError) {
    do {
      _ = try DeviceTree(blob: blob)
      Issue.record("it was accepted")
    } catch {
      // Where the strings are is the writer's affair.
      if case .badName = expected, case .badName = error { return }
      #expect(error == expected)
    }
  }

  /// A blob around structure words written by hand; the strings are "a" at 0 and a bad name at 2.
  private static func blob(structure words: [UInt32]) -> [UInt8] {
    let structureSize = UInt32(4 * words.count)
    let all: [UInt32] =
      [0xD00D_FEED, 56 + structureSize + 8, 56, 56 + structureSize, 40, 17, 16, 0, 8, structureSize]
      + [0, 0, 0, 0] + words + [0x6100_2100, 0x6262_6262]
    return platformBytes(all)
  }

  private static let n: UInt32 = 0x6E00_0000

  @Test(
    arguments: [
      ([9], .badToken(9, offset: 56)), ([2], .badToken(2, offset: 56)),
      ([3, 0, 0], .badToken(3, offset: 56)),
      ([7], .badToken(7, offset: 56)), ([1, 0], .unterminated(.structure)),
      ([1, 0, 9], .badToken(9, offset: 64)), ([1, 0, 2, 1, 0, 2, 9], .badToken(1, offset: 68)),
      ([1, n, 2, 9], .badName(offset: 60)), ([1, 0, 1, 0, 2, 2, 9], .badName(offset: 68)),
      ([1, 0, 1, 0x6E2F_0000, 2, 2, 9], .badName(offset: 68)), ([1, 0x6E6E_6E6E], .badName(offset: 60)),
      ([1, 0, 3, 0, 2, 2, 9], .badName(offset: 86)), ([1, 0, 3, 0, 1, 2, 9], .badName(offset: 85)),
      ([1, 0, 3, 0, 4, 2, 9], .badName(offset: 88)),
      ([1, 0, 3, 0, 0xFFFF_FFFF, 2, 9], .badName(offset: 4_294_967_379)),
      ([1, 0, 3, 0xFFFF_FFFF, 0, 2, 9], .unterminated(.structure)),
      ([1, 0, 3, 9, 0, 2, 9], .unterminated(.structure)),
      ([1, 0, 3, 0, 0, 3, 0, 0, 2, 9], .duplicateName(offset: 76)),
      ([1, 0, 1, n, 2, 1, n, 2, 2, 9], .duplicateName(offset: 84)),
      ([1, 0, 1, n, 2, 3, 0, 0, 2, 9], .propertyAfterChild(offset: 76)),
    ] as [([UInt32], DeviceTreeError)])
  func badStructure(words: [UInt32], expected: DeviceTreeError) {
    #expect(throws: expected) { try DeviceTree(blob: Self.blob(structure: words)) }
  }

  @Test func goodStructureWithNops() throws {
    let tree = try DeviceTree(
      blob: Self.blob(structure: [4, 1, 0, 4, 3, 3, 0, 0x0102_0300, 4, 1, Self.n, 2, 2, 4, 9]))
    #expect(tree.root["a"] == .bytes([1, 2, 3]))
    #expect(tree.root.children.map(\.name) == ["n"])
  }

  @Test func depthIsBounded() throws {
    func nested(_ depth: Int) -> [UInt32] {
      [1, 0] + (1..<depth).flatMap { _ in [1, Self.n] } + [UInt32](repeating: 2, count: depth) + [9]
    }
    _ = try DeviceTree(blob: Self.blob(structure: nested(64)))
    #expect(throws: DeviceTreeError.tooDeep(offset: 56 + 8 * 64)) {
      try DeviceTree(blob: Self.blob(structure: nested(65)))
    }
    #expect(throws: DeviceTreeError.tooDeep(offset: 56 + 8 * 64)) {
      try DeviceTree(blob: Self.blob(structure: nested(100_000)))
    }
  }

  @Test func reservationsNeedAnEnd() {
    var blob = Self.blob(structure: [1, 0, 2, 9])
    for index in blob.indices where index >= 40 { blob[index] = 1 }
    #expect(throws: DeviceTreeError.unterminated(.reservations)) { try DeviceTree(blob: blob) }
  }

  @Test(arguments: ["a/b", "", "a@b@c", "a@", "@a", "a b", "ä"]) func namesThatNodesHaveNot(name: String) {
    var blob = DeviceTreeWriterTests.example().blob()
    // "chosen" is the first node, with room for six bytes.
    let place = blob.indices.first { blob[$0...].starts(with: "chosen".utf8) } ?? 0
    blob.replaceSubrange(
      place..<place + 6, with: Array(name.utf8) + [UInt8](repeating: 0, count: 6 - name.utf8.count))
    #expect(throws: DeviceTreeError.self) { try DeviceTree(blob: blob) }
  }

  // MARK: - Anything at all

  /// Mutated blobs are refused or read; what is read can be written and read again as the same.
  @Test(arguments: 1...4 as ClosedRange<UInt64>) func mutations(seed: UInt64) throws {
    var random = PlatformRandom(seed: seed)
    let original = DeviceTreeWriterTests.example().blob()
    let interesting: [UInt8] = [0, 1, 2, 3, 4, 9, 0x7F, 0x80, 0xFF]
    var accepted = 0
    for _ in 0..<25_000 {
      var blob = original
      for _ in 0...random.next() % 4 {
        let place = Int(random.next() % UInt64(blob.count))
        switch random.next() % 5 {
        case 0: blob[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: blob[place] ^= 1 << UInt8(random.next() % 8)
        case 2: blob[place | 3] = interesting[Int(random.next() % UInt64(interesting.count))]
        case 3: for index in (place & ~3)..<(place & ~3) + 4 { blob[index] = 0xFF }
        default:
          let from = Int(random.next() % UInt64(blob.count / 4)) * 4
          for index in 0..<4 { blob[(place & ~3) + index] = blob[from + index] }
        }
        if random.next() % 16 == 0 { blob.removeLast(Int(random.next() % UInt64(blob.count / 2)) & ~3) }
      }
      guard let tree = try? DeviceTree(blob: blob) else { continue }
      accepted += 1
      #expect(try DeviceTree(blob: tree.blob()) == tree)
    }
    #expect(accepted > 1000)
  }
}
