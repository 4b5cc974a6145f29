import DiskImages
import HostSystem

/// A sound qcow2 image with something of everything, and where its tables are (docs/interop/qcow2 of QEMU).
struct QCOW2Sample: Sendable {
  /// What is changed.
  enum Part: String, CaseIterable {
    case header, l1, l2, refcounts, snapshots, bitmaps, compressed
  }

  let bytes: [UInt8]
  let clusterSize: Int
  let hasBacking: Bool
  private var places: [Part: [Range<Int>]] = [:]
  /// Bytes of an entry of each table: what a change is aligned to.
  private let refcountBytes: Int

  /// Where the entries of tables have their offsets (bits 9 to 55).
  private static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00

  // MARK: - Images

  /// Of several cluster sizes, refcounts and compressions; of version 2; with subclusters; with and without a backing.
  static func all() throws -> [QCOW2Sample] {
    try [
      (512, 16), (512, 1), (1024, 64), (4096, 8), (16384, 16), (65536, 32),
    ].enumerated().flatMap { number, shape in
      try [false, true].map { hasBacking in
        var options = QCOW2Options()
        options.clusterSize = UInt64(shape.0)
        options.refcountBits = shape.1
        options.hasExtendedL2 = shape.0 == 16384
        options.compression = number % 2 == 0 ? .zlib : .zstd
        if number == 0, hasBacking {
          options.version = 2
          options.compression = .zlib
        }
        if hasBacking {
          options.backingName = "base"
          options.backingFormat = "raw"
        }
        return try QCOW2Sample(options)
      }
    }
  }

  static func file(_ bytes: [UInt8], readOnly: Bool = false) throws -> HostFile {
    let descriptor = try Descriptor.memory(name: "fuzz")
    try bytes.withUnsafeBytes { try descriptor.writeAll($0) }
    return try HostFile(descriptor, name: "fuzz", readOnly: readOnly)
  }

  func backing() throws -> (any DiskImage)? {
    guard hasBacking else { return nil }
    return try RawImage(Self.file([UInt8](repeating: 3, count: 40960), readOnly: true))
  }

  private init(_ options: QCOW2Options) throws {
    clusterSize = Int(options.clusterSize)
    hasBacking = options.backingName != nil
    refcountBytes = max(1, options.refcountBits / 8)
    bytes = try Self.made(options)
    findTables()
  }

  private static func made(_ options: QCOW2Options) throws -> [UInt8] {
    let file = try file([])
    try QCOW2Image.create(file: file, size: 300 * 512, options: options)
    let base: (any DiskImage)? =
      if options.backingName == nil { nil } else {
        try RawImage(Self.file([UInt8](repeating: 3, count: 40960), readOnly: true))
      }
    let disk = try QCOW2Image(file, backing: base)
    func write(_ byte: UInt8, _ range: Range<Int>) throws {
      try [UInt8](repeating: byte, count: range.count).withUnsafeBytes {
        try disk.write(at: UInt64(range.lowerBound), from: $0)
      }
    }
    try write(1, 1000..<21000)
    // A refcount of one bit has no room for what two have in common.
    if options.refcountBits > 1 { _ = try disk.createSnapshot("one") }
    try write(2, 3000..<8000)
    if options.version > 2 { try disk.createBitmap("b", granularity: 512) }
    let cluster = [UInt8](repeating: 4, count: Int(options.clusterSize))
    for number in 0..<2 {
      let place = UInt64(65536 + number * cluster.count)
      try cluster.withUnsafeBytes { try disk.writeCompressed(at: place, from: $0) }
    }
    if options.refcountBits > 1 { _ = try disk.createSnapshot("two") }
    try disk.writeZeroes(at: 30000, count: 20000, mayUnmap: true)
    try write(5, 100_000..<100_700)
    try disk.close()
    var bytes = [UInt8](repeating: 0, count: Int(try file.size()))
    try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
    return bytes
  }

  // MARK: - Tables

  private func number(_ place: Int, _ size: Int) -> UInt64 {
    guard place >= 0, place + size <= bytes.count else { return 0 }
    return bytes[place..<place + size].reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func add(_ part: Part, _ start: Int, _ count: Int) {
    let range = start..<min(bytes.count, start + count)
    if start > 0, !range.isEmpty { places[part, default: []].append(range) }
  }

  private mutating func findTables() {
    places[.header] = [0..<112, 0..<112, 104..<min(bytes.count, 400)]
    findL1(Int(number(40, 8)), entries: Int(number(36, 4)))
    let table = Int(number(48, 8))
    add(.refcounts, table, 64)
    for index in 0..<min(64, Int(number(56, 4)) * clusterSize / 8) {
      add(.refcounts, Int(number(table + index * 8, 8)), clusterSize)
    }
    var snapshot = Int(number(64, 8))
    for _ in 0..<number(60, 4) {
      let extra = Int(number(snapshot + 36, 4))
      let length = 40 + extra + Int(number(snapshot + 12, 2)) + Int(number(snapshot + 14, 2))
      add(.snapshots, snapshot, length)
      findL1(Int(number(snapshot, 8)), entries: Int(number(snapshot + 8, 4)))
      snapshot += (length + 7) / 8 * 8
    }
    // The header's extensions: a type and a length, and the bitmaps' among them.
    var place = number(4, 4) == 2 ? 72 : Int(number(100, 4))
    while place + 8 <= clusterSize, number(place, 4) != 0 {
      let length = Int(number(place + 4, 4))
      add(.header, place, 8 + length)
      if number(place, 4) == 0x2385_2875 {
        let directory = Int(number(place + 24, 8))
        add(.bitmaps, place, 8 + length)
        add(.bitmaps, directory, Int(number(place + 16, 8)))
        add(.bitmaps, Int(number(directory, 8)), 64)
      }
      place += 8 + (length + 7) / 8 * 8
    }
  }

  private mutating func findL1(_ table: Int, entries: Int) {
    add(.l1, table, entries * 8)
    for index in 0..<entries {
      let l2 = Int(number(table + index * 8, 8) & Self.offsetMask)
      guard l2 > 0 else { continue }
      add(.l2, l2, clusterSize)
      for entry in stride(from: l2, to: l2 + clusterSize, by: 8) where number(entry, 8) >> 62 == 1 {
        add(.compressed, entry, 8)
        // How many bits the offset has depends on the cluster's size.
        let bits = UInt64(62 - (clusterSize.trailingZeroBitCount - 8))
        add(.compressed, Int(number(entry, 8) & (1 << bits - 1)), 64)
      }
    }
  }

  // MARK: - Changes

  /// Changes a field or an entry of the part: to another's value, to a place of the file that means something else, to
  /// flags, or to any number.
  func change(_ part: Part, in bytes: inout [UInt8], _ random: inout FuzzRandom) {
    guard let ranges = places[part] ?? places[.header] else { return }
    let range = random.pick(ranges)
    let width: Int
    switch part {
    case .header, .snapshots, .bitmaps: width = random.pick([1, 2, 4, 8, 8])
    case .l1, .l2: width = 8
    case .refcounts: width = random.once(in: 2) ? refcountBytes : 8
    case .compressed: width = random.pick([1, 8])
    }
    let place = range.lowerBound + random.below(max(1, range.count / width)) * width
    guard place + width <= bytes.count else { return }
    let old = bytes[place..<place + width].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let new: UInt64
    switch random.below(8) {
    case 0: new = old ^ 1 << UInt64(random.below(width * 8))
    case 1: new = old ^ random.pick([1 << 63, 1 << 62, 1, 3 << 62, 1 << 63 | 1])
    case 2: new = old &+ UInt64(clusterSize) &* UInt64(bitPattern: Int64(random.below(5) - 2))
    case 3:
      // Another entry of the same table: two have one then.
      let other = range.lowerBound + random.below(max(1, range.count / width)) * width
      new = bytes[min(other, bytes.count - width)..<min(other, bytes.count - width) + width]
        .reduce(0) { $0 << 8 | UInt64($1) }
    case 4, 5:
      // Some table's place, with the flags that were there.
      let table = random.pick(places[random.pick(Array(Part.allCases))] ?? ranges).lowerBound
      new = old & ~Self.offsetMask | UInt64(table / clusterSize * clusterSize)
    case 6: new = old & ~Self.offsetMask | UInt64(random.below(bytes.count / clusterSize + 3) * clusterSize)
    default: new = random.number()
    }
    for index in 0..<width {
      bytes[place + index] = UInt8(truncatingIfNeeded: new >> UInt64((width - 1 - index) * 8))
    }
  }
}
