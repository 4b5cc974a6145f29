import DiskImages
import Glibc
import HostSystem
import Testing

/// Images that somebody changed a little: whatever they say, nothing traps, hangs or takes memory without bound.
@Suite struct QCOW2FuzzTests {
  static let rounds = QCOW2Tools.numberFromEnvironment("VOLARY_QCOW2_MUTATIONS") ?? 600

  static func file(_ bytes: [UInt8], readOnly: Bool = false) throws -> HostFile {
    let descriptor = try Descriptor.memory(name: "fuzz")
    try bytes.withUnsafeBytes { try descriptor.writeAll($0) }
    return try HostFile(descriptor, name: "fuzz", readOnly: readOnly)
  }

  /// Sound images with a bit of everything.
  static func seeds() throws -> [[UInt8]] {
    try [512, 512, 4096, 16384].enumerated().map { number, clusterSize in
      var options = QCOW2Options()
      options.clusterSize = UInt64(clusterSize)
      options.hasExtendedL2 = clusterSize >= 16384
      options.refcountBits = number == 1 ? 64 : 16
      options.compression = number == 1 ? .zstd : .zlib
      options.backingName = "base"
      options.backingFormat = "raw"
      let file = try Self.file([])
      try QCOW2Image.create(file: file, size: 300 * 512, options: options)
      let image = try QCOW2Image(file, backing: QCOW2Tools.disk([UInt8](repeating: 3, count: 40000)))
      try image.write([UInt8](repeating: 1, count: 20000), at: 1000)
      try image.createSnapshot("one")
      try image.write([UInt8](repeating: 2, count: 5000), at: 3000)
      try image.createBitmap("b", granularity: 512)
      let cluster = [UInt8](repeating: 4, count: clusterSize)
      try cluster.withUnsafeBytes { try image.writeCompressed(at: 65536, from: $0) }
      try cluster.withUnsafeBytes { try image.writeCompressed(at: 65536 + UInt64(clusterSize), from: $0) }
      try image.createSnapshot("two")
      try image.writeZeroes(at: 30000, count: 20000, mayUnmap: true)
      try image.write([UInt8](repeating: 5, count: 700), at: 100_000)
      try image.close()
      return try file.bytes(at: 0, count: Int(file.size()))
    }
  }

  static func mutate(_ bytes: inout [UInt8], using generator: inout Xorshift) {
    for _ in 0..<Int.random(in: 1...6, using: &generator) {
      let inHeader = generator.next() % 3 == 0
      let place = Int.random(in: 0..<(inHeader ? 240 : bytes.count), using: &generator)
      switch generator.next() % 4 {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      case 1: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
      default:
        // A word, as tables have them: some place in the file, or far out.
        let near = UInt64.random(in: 0...UInt64(bytes.count), using: &generator)
        let words: [UInt64] = [
          0, .max, near, near & ~511, near & ~4095, near & ~511 | 1 << 63, near & ~511 | 1 << 62, 1 << 55,
          1 << 62,
          generator.next(), near & ~16383 | 1 << 63 | 1,
        ]
        let word = words.randomElement(using: &generator)!
        let width = generator.next() % 3 == 0 ? 4 : 8
        let start = place & ~(width - 1)
        for index in 0..<width where start + index < bytes.count {
          bytes[start + index] = UInt8(truncatingIfNeeded: word >> UInt64((width - 1 - index) * 8))
        }
      }
    }
    if generator.next() % 16 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
  }

  /// Runs a body whose failures are values.
  static func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch is Errno {} catch is DiskImageError {}
  }

  static func exercise(_ bytes: [UInt8], using generator: inout Xorshift) throws -> Bool {
    let backing = try QCOW2Tools.disk([UInt8](repeating: 3, count: 40000))
    var wasOpened = false
    try attempt { _ = try QCOW2Image.check(file: file(bytes, readOnly: true)) }
    try attempt {
      let image = try QCOW2Image(file(bytes, readOnly: true), backing: backing)
      try use(image, using: &generator)
    }
    try attempt {
      let image = try QCOW2Image(file(bytes), backing: backing)
      wasOpened = true
      try use(image, using: &generator)
      let size = image.size
      for number in 0..<6 {
        let offset = size == 0 ? 0 : UInt64.random(in: 0..<size, using: &generator)
        let near = number % 2 == 0 ? min(offset, 150_000) : offset
        let count = min(size - min(size, near), UInt64.random(in: 1...20000, using: &generator))
        try attempt { try image.write([UInt8](repeating: 9, count: Int(count)), at: near) }
        try attempt { try image.writeZeroes(at: near, count: count, mayUnmap: number % 2 == 0) }
        try attempt { try image.discard(at: near, count: count) }
        try attempt { try image.flush() }
      }
      try attempt { try image.createSnapshot("new") }
      try attempt { try image.applySnapshot("one") }
      try attempt { try image.deleteSnapshot("two") }
      try attempt { try image.createBitmap("c") }
      try attempt { try image.mergeBitmap("b", into: "c") }
      try attempt { try image.removeBitmap("b") }
      try attempt { try image.resize(to: 400 * 512) }
      try attempt { _ = try image.check() }
      try use(image, using: &generator)
      try attempt { try image.close() }
    }
    try attempt {
      let damaged = try file(bytes)
      let result = try QCOW2Image.repair(file: damaged)
      let again = try QCOW2Image.check(file: damaged)
      try #require(again.leaks == 0 || again.corruptions > 0, "\(result) \(again)")
    }
    return wasOpened
  }

  static func use(_ image: QCOW2Image, using generator: inout Xorshift) throws {
    let size = image.size
    for _ in 0..<4 where size > 0 {
      let offset = UInt64.random(in: 0..<size, using: &generator)
      try attempt { _ = try image.bytes(offset, Int(min(size - offset, 100_000))) }
    }
    try attempt { _ = try image.bytes(0, Int(min(size, 200_000))) }
    var position: UInt64 = 0
    for _ in 0..<500 where position < size {
      guard let extent = try? image.extent(at: position, limit: size) else { break }
      #expect(extent.end > position)
      position = extent.end
    }
    for snapshot in image.snapshotList.prefix(4) {
      try attempt {
        let disk = try image.openSnapshot(snapshot.name)
        _ = try disk.bytes(0, Int(min(disk.size, 200_000)))
      }
    }
    for bitmap in image.bitmapList.prefix(4) {
      try attempt { _ = try image.dirtyExtent(of: bitmap.name, at: 0, limit: size) }
    }
  }

  @Test(arguments: 0..<4)
  func `changed bytes`(part: Int) throws {
    let seeds = try Self.seeds()
    var generator = Xorshift(seed: UInt64(part) + 77)
    var opened = 0
    for round in 0..<Self.rounds / 4 {
      var bytes = seeds[round % seeds.count]
      Self.mutate(&bytes, using: &generator)
      if try Self.exercise(bytes, using: &generator) { opened += 1 }
    }
    #expect(opened > Self.rounds / 40)
  }
}
