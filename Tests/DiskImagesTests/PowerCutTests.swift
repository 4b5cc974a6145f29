import DiskImages
import HostSystem
import Testing

/// Overlays whose file loses what was not synced, or is full.
@Suite struct PowerCutTests {
  /// Each sector holds one number, over and over; no two writes use the same number, so that what is
  /// read tells which write it comes from.
  struct Model {
    var current: [UInt64]
    /// What each sector may hold after a power cut.
    var possible: [Set<UInt64>]

    init(_ contents: [UInt64]) {
      current = contents
      possible = contents.map { [$0] }
    }

    mutating func change(_ sectors: Range<Int>, to value: (Int) -> UInt64) {
      for sector in sectors {
        current[sector] = value(sector)
        possible[sector].insert(current[sector])
      }
    }

    mutating func flushed() { possible = current.map { [$0] } }
  }

  static func bytes(_ numbers: [UInt64]) -> [UInt8] {
    numbers.flatMap { number in (0..<512).map { UInt8(truncatingIfNeeded: number >> UInt64($0 % 8 * 8)) } }
  }

  /// The number in each sector; nil where a sector is torn or mixed.
  static func numbers(_ disk: any DiskImage) throws -> [UInt64?] {
    let bytes = try disk.bytes(0, Int(disk.size))
    return (0..<bytes.count / 512).map { sector in
      let words = bytes[sector * 512..<sector * 512 + 512]
      let number = words.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return Self.bytes([number]).elementsEqual(words) ? number : nil
    }
  }

  static func overlay(
    using generator: inout Xorshift
  ) throws -> (file: TestFile, base: any DiskImage, model: Model) {
    let baseSectors = Int.random(in: 20...90, using: &generator)
    let sectors = baseSectors + Int.random(in: 0...40, using: &generator)
    let baseNumbers = (0..<baseSectors).map { UInt64($0) + 1 << 48 }
    let baseFile = TestFile()
    try bytes(baseNumbers).withUnsafeBytes { try baseFile.write(at: 0, from: $0) }
    let base = try RawImage(ReadOnlyFile(baseFile))
    let file = TestFile(canDeallocate: generator.next() % 4 != 0)
    try OverlayImage.create(
      file, base: base, size: UInt64(sectors) * 512, clusterShift: generator.next() % 2 == 0 ? 12 : 14)
    return (file, base, Model(baseNumbers + [UInt64](repeating: 0, count: sectors - baseSectors)))
  }

  /// One random operation; what it may change is in the model even if it throws.
  static func step(
    _ disk: any DiskImage, _ model: inout Model, number: inout UInt64, using generator: inout Xorshift
  ) throws {
    let start = Int.random(in: 0..<model.current.count, using: &generator)
    let longest = min(generator.next() % 3 == 0 ? 60 : 6, model.current.count - start)
    let sectors = start..<start + Int.random(in: 1...longest, using: &generator)
    let offset = UInt64(start) * 512
    switch generator.next() % 12 {
    case 0...5:
      number += 1000
      let first = number
      model.change(sectors) { first + UInt64($0) }
      try disk.write(bytes(sectors.map { first + UInt64($0) }), at: offset)
    case 6, 7:
      model.change(sectors) { _ in 0 }
      try disk.discard(at: offset, count: UInt64(sectors.count) * 512)
    case 8, 9:
      model.change(sectors) { _ in 0 }
      try disk.writeZeroes(
        at: offset, count: UInt64(sectors.count) * 512, mayUnmap: generator.next() % 2 == 0)
    default:
      try disk.flush()
      model.flushed()
    }
  }

  @Test(arguments: 1...150)
  func `what was flushed survives, and garbage never shows`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    var (file, base, model) = try Self.overlay(using: &generator)
    var number: UInt64 = 0
    for life in 0..<8 {
      let disk = try OverlayImage(file, base: base)
      // Killed between two operations, or in the middle of one: a write's or a flush's own steps.
      if generator.next() % 3 != 0 {
        file.fail(afterOperations: Int.random(in: 1...300, using: &generator))
      }
      for _ in 0..<Int.random(in: 1...40, using: &generator) {
        do {
          try Self.step(disk, &model, number: &number, using: &generator)
        } catch {
          #expect(error as? Errno == .io)
          break
        }
      }
      file = file.powerCut(using: &generator)
      let found = try Self.numbers(OverlayImage(file, base: base))
      for (sector, number) in found.enumerated() {
        let number = try #require(number, "sector \(sector) is torn in life \(life)")
        try #require(
          model.possible[sector].contains(number),
          "sector \(sector) holds \(number), not one of \(model.possible[sector]), in life \(life)")
      }
      model = Model(found.map { $0 ?? 0 })
    }
  }

  @Test(arguments: 1...30)
  func `a write during a flush is not in it`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    let (file, base, contents) = try Self.overlay(using: &generator)
    var model = contents
    let disk = try OverlayImage(file, base: base)
    try disk.write(Self.bytes([11]), at: 0)
    model.change(0..<1) { _ in 11 }
    try disk.flush()
    model.flushed()
    model.change(17..<18) { _ in 22 }
    try disk.write(Self.bytes([33]), at: 1 * 512)
    model.change(1..<2) { _ in 33 }
    // Killed between the bitmap's write, of eight sectors, and the second sync.
    file.afterNextSync {
      try? disk.write(Self.bytes([22]), at: 17 * 512)
      file.fail(afterOperations: 8)
    }
    try? disk.flush()
    let found = try Self.numbers(OverlayImage(file.powerCut(using: &generator), base: base))
    for (sector, number) in found.enumerated() {
      #expect(try model.possible[sector].contains(#require(number)))
    }
    // The next flush has it.
    file.fail(afterOperations: .max)
    try disk.flush()
    #expect(try Self.numbers(OverlayImage(file.powerCut(using: &generator), base: base)) == model.current)
  }

  @Test(arguments: 1...20)
  func `a full file system fails writes and corrupts nothing`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    var (file, base, model) = try Self.overlay(using: &generator)
    var number: UInt64 = 0
    var disk = try OverlayImage(file, base: base)
    var failures = 0
    for _ in 0..<300 {
      file.setSpace(sectors: Int.random(in: 0...40, using: &generator))
      do {
        try Self.step(disk, &model, number: &number, using: &generator)
      } catch {
        #expect(error as? Errno == .noSpace)
        failures += 1
      }
      let found = try Self.numbers(disk)
      for (sector, number) in found.enumerated() {
        try #require(model.possible[sector].contains(try #require(number)))
      }
      // A sector of a write that failed holds the old or the new contents from here on.
      for (sector, number) in found.enumerated() { model.current[sector] = number ?? 0 }
    }
    #expect(failures > 10)
    file.setSpace(sectors: .max)
    try disk.flush()
    let before = try Self.numbers(disk)
    disk = try OverlayImage(file, base: base)
    #expect(try Self.numbers(disk) == before)
  }

  @Test(arguments: 1...40)
  func `growing survives power cuts`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    let (file, base, model) = try Self.overlay(using: &generator)
    let size = UInt64(model.current.count) * 512
    let larger = size + 512 * UInt64.random(in: 0...5000, using: &generator)
    file.fail(afterOperations: Int.random(in: 0...4, using: &generator))
    let hasGrown = (try? OverlayImage.grow(file, to: larger)) != nil
    let after = try OverlayImage(file.powerCut(using: &generator), base: base)
    #expect(after.size == larger || (!hasGrown && after.size == size))
    #expect(try Self.numbers(after).prefix(model.current.count).elementsEqual(model.current))
    #expect(try Self.numbers(after).dropFirst(model.current.count).allSatisfy { $0 == 0 })
  }
}
