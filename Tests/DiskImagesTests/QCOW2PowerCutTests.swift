import DiskImages
import Glibc
import HostSystem
import Testing

/// qcow2 images whose file loses what was not synced, or is full.
@Suite struct QCOW2PowerCutTests {
  static let cuts = QCOW2Tools.numberFromEnvironment("VOLARY_QCOW2_CUTS") ?? 80

  struct Life {
    var file: TestFile
    let base: (any DiskImage)?
    var model: PowerCutTests.Model
    var snapshots: [(name: String, contents: [UInt64])] = []
    /// Taken or deleted in the operation that a cut came into.
    var uncertain: (name: String, contents: [UInt64])?
    /// The numbers of sectors that the disk may have.
    var sizes: Set<Int> = []
    /// What the disk held when each bitmap was made.
    var bitmaps: [(name: String, contents: [UInt64])] = []
    var number: UInt64 = 0
    var cacheSize = 1 << 20
    let clusterSectors: Int
    let isVersion2: Bool
    var log: [String] = []
    var serial = 0

    init(using generator: inout Xorshift) throws {
      let sectors = Int.random(in: 30...200, using: &generator)
      var options = QCOW2Options()
      options.clusterSize = [512, 1024, 2048, 4096, 4096, 16384].randomElement(using: &generator)!
      options.hasExtendedL2 = options.clusterSize == 16384
      options.refcountBits = [16, 16, 64, 8].randomElement(using: &generator)!
      if generator.next() % 8 == 0 {
        options.version = 2
        options.hasExtendedL2 = false
        options.refcountBits = 16
      }
      var numbers = [UInt64](repeating: 0, count: sectors)
      if generator.next() % 3 != 0 {
        let held = Int.random(in: 10...sectors + 20, using: &generator)
        let contents = (0..<held).map { UInt64($0) + 1 << 48 }
        let file = TestFile()
        try QCOW2Sectors.bytes(contents).withUnsafeBytes { try file.write(at: 0, from: $0) }
        base = try RawImage(ReadOnlyFile(file))
        options.backingName = "base"
        numbers.replaceSubrange(0..<min(held, sectors), with: contents[..<min(held, sectors)])
      } else {
        base = nil
      }
      file = TestFile(canDeallocate: generator.next() % 4 != 0)
      try QCOW2Image.create(file: file, size: UInt64(sectors) * 512, options: options)
      model = PowerCutTests.Model(numbers)
      sizes = [sectors]
      clusterSectors = Int(options.clusterSize / 512)
      isVersion2 = options.version == 2
      // Little room for tables, so that commits come in between.
      cacheSize = [0, 8192, 1 << 20].randomElement(using: &generator)!
      log.append("\(options)")
    }

    mutating func step(_ disk: QCOW2Image, using generator: inout Xorshift) throws {
      let start = Int.random(in: 0..<model.current.count, using: &generator)
      let longest = min(generator.next() % 3 == 0 ? 60 : 6, model.current.count - start)
      let sectors = start..<start + Int.random(in: 1...longest, using: &generator)
      let offset = UInt64(start) * 512
      switch generator.next() % 32 {
      case 0..<14:
        log.append("write \(sectors)")
        number += 1000
        let first = number
        model.change(sectors) { first + UInt64($0) }
        try disk.write(QCOW2Sectors.bytes(sectors.map { first + UInt64($0) }), at: offset)
      case 14..<18:
        log.append("discard \(sectors)")
        let before = model.current
        model.change(sectors) { _ in 0 }
        model.current = before
        try disk.discard(at: offset, count: UInt64(sectors.count) * 512)
        model.current = try QCOW2Sectors.numbers(disk).map { try #require($0) }
      case 18..<22:
        log.append("zero \(sectors)")
        model.change(sectors) { _ in 0 }
        try disk.writeZeroes(
          at: offset, count: UInt64(sectors.count) * 512, mayUnmap: generator.next() % 2 == 0)
      case 22 where generator.next() % 2 == 0:
        serial += 1
        log.append("snapshot s\(serial)")
        uncertain = ("s\(serial)", model.current)
        try disk.createSnapshot("s\(serial)")
        snapshots.append(("s\(serial)", model.current))
        uncertain = nil
        model.flushed()
      case 23 where !snapshots.isEmpty:
        let index = Int.random(in: 0..<snapshots.count, using: &generator)
        log.append("delete \(snapshots[index].name)")
        let deleted = snapshots.remove(at: index)
        uncertain = deleted
        try disk.deleteSnapshot(deleted.name)
        uncertain = nil
      case 24 where !snapshots.isEmpty:
        let snapshot = snapshots.randomElement(using: &generator)!
        log.append("apply \(snapshot.name)")
        let count = snapshot.contents.count
        sizes.insert(count)
        if count > model.current.count { model.grow(to: count) }
        model.change(0..<count) { snapshot.contents[$0] }
        try disk.applySnapshot(snapshot.name)
        model.cut(to: count)
        sizes = [count]
        model.flushed()
      case 25 where generator.next() % 2 == 0:
        let count = model.current.count + Int.random(in: 1...40, using: &generator)
        guard count < 1000 else { return }
        log.append("grow to \(count)")
        sizes.insert(count)
        model.grow(to: count)
        try disk.resize(to: UInt64(count) * 512)
        sizes = [count]
      case 26, 27:
        let start = sectors.lowerBound / clusterSectors * clusterSectors
        let range = start..<min(model.current.count, start + clusterSectors)
        log.append("compressed \(range)")
        number += 1000
        let first = number
        model.change(range) { first + UInt64($0) }
        let bytes = QCOW2Sectors.bytes(range.map { first + UInt64($0) })
        try bytes.withUnsafeBytes { try disk.writeCompressed(at: UInt64(start) * 512, from: $0) }
      case 28 where generator.next() % 4 == 0 && bitmaps.count < 3 && !isVersion2:
        serial += 1
        log.append("bitmap b\(serial)")
        try disk.createBitmap("b\(serial)", granularity: 512)
        bitmaps.append(("b\(serial)", model.current))
      default:
        log.append("flush")
        try disk.flush()
        model.flushed()
      }
    }

    /// What a disk holds is what may be there.
    func verify(_ disk: QCOW2Image) throws -> [UInt64] {
      let found = try QCOW2Sectors.numbers(disk)
      try #require(sizes.contains(found.count), "\(found.count) \(log)")
      for (sector, number) in found.enumerated() {
        guard let number, model.possible[sector].contains(number) else {
          throw QCOW2Tools.Failure(
            description: "sector \(sector) holds \(String(describing: number)), not one of "
              + "\(model.possible[sector])\n\(log)")
        }
      }
      let names = disk.snapshotList.map(\.name)
      for snapshot in snapshots {
        guard names.contains(snapshot.name) else {
          throw QCOW2Tools.Failure(description: "\(snapshot.name) is lost\n\(log)")
        }
      }
      for name in names {
        guard let snapshot = (snapshots + [uncertain].compactMap { $0 }).first(where: { $0.name == name })
        else {
          throw QCOW2Tools.Failure(description: "\(name) is there\n\(log)")
        }
        let disk = try disk.openSnapshot(name)
        guard try QCOW2Sectors.numbers(disk) == snapshot.contents.map(Optional.some) else {
          throw QCOW2Tools.Failure(description: "\(name) holds something else\n\(log)")
        }
      }
      return found.map { $0 ?? 0 }
    }

    /// What a bitmap that says it is right does not show as changed is as it was. The others are removed.
    mutating func verifyBitmaps(_ disk: QCOW2Image, holding found: [UInt64]) throws {
      for bitmap in bitmaps {
        guard let info = disk.bitmapList.first(where: { $0.name == bitmap.name }), !info.isInconsistent else {
          continue
        }
        var sector: UInt64 = 0
        while sector * 512 < disk.size {
          let (isDirty, end) = try disk.dirtyExtent(of: bitmap.name, at: sector * 512, limit: disk.size)
          for index in Int(sector)..<Int(end / 512) where !isDirty && index < bitmap.contents.count {
            guard found[index] == bitmap.contents[index] else {
              throw QCOW2Tools.Failure(description: "sector \(index) is not in \(bitmap.name)\n\(log)")
            }
          }
          sector = end / 512
        }
      }
      for info in disk.bitmapList where info.isInconsistent { try disk.removeBitmap(info.name) }
      let names = disk.bitmapList.map(\.name)
      bitmaps.removeAll { !names.contains($0.name) }
    }
  }

  @Test(arguments: 1...cuts)
  func `what was flushed survives, and nothing else shows`(seed: Int) throws {
    var generator = Xorshift(seed: UInt64(seed))
    var life = try Life(using: &generator)
    for number in 0..<6 {
      let disk = try QCOW2Image(life.file, backing: life.base, cacheSize: life.cacheSize)
      if generator.next() % 4 != 0 {
        life.file.fail(afterOperations: Int.random(in: 1...400, using: &generator))
      }
      for _ in 0..<Int.random(in: 1...40, using: &generator) {
        do {
          try life.step(disk, using: &generator)
        } catch let error as Errno {
          try #require(error == .io, "\(life.log)")
          break
        }
      }
      life.file = life.file.powerCut(using: &generator)
      life.log.append("cut \(number)")
      let isDirty =
        try life.file.bytes(at: 72, count: 8)[7] & 1 != 0 && life.file.bytes(at: 4, count: 4)[3] == 3
      let isVersion2 = try life.file.bytes(at: 4, count: 4)[3] == 2
      let check = try QCOW2Image.check(file: ReadOnlyFile(life.file))
      // Version 2 has no mark for refcounts that do not agree with flags while a snapshot is made or deleted.
      if !isDirty, !isVersion2 || life.serial == 0 {
        try #require(check.corruptions == 0, "\(check) \(life.log)")
      }
      // Read-only first: it repairs nothing.
      _ = try life.verify(QCOW2Image(ReadOnlyFile(life.file), backing: life.base))
      let again = try QCOW2Image(life.file, backing: life.base)
      let found = try life.verify(again)
      life.sizes = [found.count]
      try life.verifyBitmaps(again, holding: found)
      if generator.next() % 2 == 0 { try again.close() }
      if !isVersion2 { try #require(again.check().corruptions == 0, "\(life.log)") }
      if generator.next() % 3 == 0 {
        let repaired = try again.repair()
        try #require(repaired.isClean, "\(repaired) \(life.log)")
      }
      let names = again.snapshotList.map(\.name)
      if let uncertain = life.uncertain, names.contains(uncertain.name) { life.snapshots.append(uncertain) }
      life.uncertain = nil
      life.model = PowerCutTests.Model(found)
    }
  }

  @Test(arguments: 1...12)
  func `a full device fails writes and corrupts nothing`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    var life = try Life(using: &generator)
    var disk = try QCOW2Image(life.file, backing: life.base)
    var failures = 0
    for _ in 0..<150 {
      life.file.setSpace(sectors: Int.random(in: 0...60, using: &generator))
      do {
        try life.step(disk, using: &generator)
      } catch let error as Errno {
        try #require(error == .noSpace, "\(life.log)")
        failures += 1
      }
      life.file.setSpace(sectors: .max)
      if let uncertain = life.uncertain, disk.snapshotList.contains(where: { $0.name == uncertain.name }) {
        life.snapshots.append(uncertain)
      }
      life.uncertain = nil
      let found = try life.verify(disk)
      life.sizes = [found.count]
      life.model.grow(to: max(found.count, life.model.current.count))
      life.model.cut(to: found.count)
      life.model.current = found
    }
    try #require(failures > 3)
    try disk.close()
    let before = try QCOW2Sectors.numbers(disk)
    let check = try disk.check()
    try #require(check.corruptions == 0, "\(check) \(life.log)")
    disk = try QCOW2Image(life.file, backing: life.base)
    #expect(try QCOW2Sectors.numbers(disk) == before)
    #expect(try disk.repair().isClean)
  }
}

extension PowerCutTests.Model {
  fileprivate mutating func grow(to count: Int) {
    guard count > current.count else { return }
    possible += [Set<UInt64>](repeating: [0], count: count - current.count)
    current += [UInt64](repeating: 0, count: count - current.count)
  }

  fileprivate mutating func cut(to count: Int) {
    current.removeLast(current.count - count)
    possible.removeLast(possible.count - count)
  }
}

/// Sectors that each hold one number, over and over, as ``PowerCutTests`` has them.
enum QCOW2Sectors {
  static func bytes(_ numbers: [UInt64]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: numbers.count * 512) { buffer, count in
      for (sector, number) in numbers.enumerated() {
        let start = UnsafeMutableRawPointer(buffer.baseAddress! + sector * 512)
        start.initializeMemory(as: UInt64.self, repeating: number.littleEndian, count: 64)
      }
      count = numbers.count * 512
    }
  }

  /// The number in each sector; nil where a sector is torn or mixed.
  static func numbers(_ disk: any DiskImage) throws -> [UInt64?] {
    let bytes = try disk.bytes(0, Int(disk.size))
    return bytes.withUnsafeBytes { bytes in
      (0..<bytes.count / 512).map { sector in
        let start = bytes.baseAddress! + sector * 512
        let isWhole = memcmp(start, start + 8, 504) == 0
        return isWhole ? UInt64(littleEndian: start.load(as: UInt64.self)) : nil
      }
    }
  }
}
