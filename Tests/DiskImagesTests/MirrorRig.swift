import DiskImages
import Glibc
import HostSystem
import Synchronization
import Testing

/// Lets so many more changes and syncs through, of all files that it is in: a process that is killed.
final class MirrorFuse: Sendable {
  private let left: Mutex<Int>
  init(_ count: Int = .max) { left = Mutex(count) }

  var isBlown: Bool { left.withLock { $0 <= 0 } }

  func burn() throws(Errno) {
    let isAlive = left.withLock { left in
      if left > 0 { left -= 1 }
      return left > 0
    }
    if !isAlive { throw .io }
  }
}

/// A file behind a fuse, which may fail by itself too, reads included.
final class MirrorFile: ImageFile {
  let file: TestFile
  private let fuse: MirrorFuse
  private let left: Mutex<Int>

  init(_ file: TestFile, _ fuse: MirrorFuse, failingAfter count: Int = .max) {
    self.file = file
    self.fuse = fuse
    left = Mutex(count)
  }

  var name: String { file.name }
  var isReadOnly: Bool { file.isReadOnly }
  func fail(after count: Int) { left.withLock { $0 = count + 1 } }
  var hasFailed: Bool { left.withLock { $0 <= 0 } }

  private func use() throws(Errno) {
    let isAlive = left.withLock { left in
      if left > 0, left < .max { left -= 1 }
      return left > 0
    }
    if !isAlive { throw .io }
  }

  private func change() throws(Errno) {
    try use()
    try fuse.burn()
  }

  func size() throws(Errno) -> UInt64 { try file.size() }
  func resize(to size: UInt64) throws(Errno) {
    try change()
    try file.resize(to: size)
  }
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try use()
    try file.read(at: offset, into: buffer)
  }
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try change()
    try file.write(at: offset, from: buffer)
  }
  func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool {
    try change()
    return try file.deallocate(at: offset, count: count)
  }
  func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { false }
  func sync() throws(Errno) {
    try change()
    try file.sync()
  }
}

/// A pair's files, as whoever opens it keeps them.
struct MirrorRig {
  struct Side {
    var file: TestFile
    var identity: MirrorIdentity
    var isQCOW2 = false

    func open(_ file: MirrorFile, name: String) throws -> MirrorSide {
      MirrorSide(
        isQCOW2 ? try QCOW2Image(file, backing: nil, cacheSize: 8192) : try RawImage(file),
        identity: identity, name: name)
    }
  }

  /// A pair that is open.
  struct Opened {
    let disk: MirrorImage
    let files: [MirrorFile]
    let reports: Reports
  }

  final class Reports: Sendable {
    private let states = Mutex<[MirrorState]>([])
    func add(_ state: MirrorState) { states.withLock { $0.append(state) } }
    var all: [MirrorState] { states.withLock { $0 } }
  }

  var metadata = TestFile()
  var sides: [Side]

  /// Small regions, so that there are many of them.
  static let regionShift: UInt32 = 12

  static func identity(using generator: inout Xorshift) -> MirrorIdentity {
    MirrorIdentity(high: generator.next(), low: generator.next())
  }

  static func side(sectors: Int, isQCOW2: Bool, using generator: inout Xorshift) throws -> Side {
    let file = TestFile(size: isQCOW2 ? 0 : UInt64(sectors) * 512, canDeallocate: generator.next() % 3 != 0)
    if isQCOW2 {
      var options = QCOW2Options()
      options.clusterSize = 1024
      try QCOW2Image.create(file: file, size: UInt64(sectors) * 512, options: options)
    }
    return Side(file: file, identity: identity(using: &generator), isQCOW2: isQCOW2)
  }

  init(sectors: Int, withQCOW2: Bool, using generator: inout Xorshift) throws {
    let larger = Int.random(in: 0...1, using: &generator)
    var made: [Side] = []
    for index in 0..<2 {
      let more = index == larger ? Int.random(in: 0...9, using: &generator) : 0
      made.append(
        try Self.side(
          sectors: sectors + more, isQCOW2: withQCOW2 && generator.next() % 2 == 0, using: &generator))
    }
    sides = made
    let fuse = MirrorFuse()
    let opened = try made.enumerated().map { try $1.open(MirrorFile($1.file, fuse), name: "side \($0)") }
    try MirrorImage.create(
      metadata: metadata, opened[0], opened[1], areAlike: true, regionShift: Self.regionShift)
  }

  func open(
    _ which: [Int] = [0, 1], _ fuse: MirrorFuse = MirrorFuse(), inBackground: Bool = false
  ) throws -> Opened {
    let files = sides.map { MirrorFile($0.file, fuse) }
    let reports = Reports()
    let given = try which.map { try sides[$0].open(files[$0], name: "side \($0)") }
    let disk = try MirrorImage(
      metadata: MirrorFile(metadata, fuse), sides: given, inBackground: inBackground,
      onChange: { reports.add($0) })
    return Opened(disk: disk, files: files, reports: reports)
  }

  /// Opens with what the metadata know of `which`, as a caller does whose replacement was not recorded.
  func openKnown(_ which: [Int] = [0, 1], _ fuse: MirrorFuse = MirrorFuse()) throws -> Opened {
    do {
      return try open(which, fuse)
    } catch MirrorError.foreignSide(_, let side) {
      return try open(which.filter { "side \($0)" != side }, fuse)
    }
  }

  /// What a cut leaves: each file by itself loses what was not synced, or was only closed.
  mutating func cut(using generator: inout Xorshift) {
    if generator.next() % 4 != 0 { metadata = metadata.powerCut(using: &generator) }
    for index in sides.indices where generator.next() % 4 != 0 {
      sides[index].file = sides[index].file.powerCut(using: &generator)
    }
  }

  /// The same files again, of which nothing is without a sync.
  func copy() throws -> MirrorRig {
    var generator = Xorshift(seed: 1)
    var copy = self
    try metadata.sync()
    copy.metadata = metadata.powerCut(using: &generator)
    for index in sides.indices {
      try sides[index].file.sync()
      copy.sides[index].file = sides[index].file.powerCut(using: &generator)
    }
    return copy
  }

  /// What a side holds.
  func numbers(ofSide index: Int, count: Int) throws -> [UInt64?] {
    let side = try sides[index].open(MirrorFile(sides[index].file, MirrorFuse()), name: "")
    return try Array(QCOW2Sectors.numbers(side.disk)[..<count])
  }
}

/// What each sector may hold; each holds one number over and over, which tells the write that it comes from.
struct MirrorModel {
  /// What a read gives; nil where only a read will tell.
  var current: [UInt64?]
  /// What there may be after a cut.
  var possible: [Set<UInt64>]
  private var number: UInt64 = 0

  init(sectors: Int) {
    current = [UInt64?](repeating: 0, count: sectors)
    possible = [Set<UInt64>](repeating: [0], count: sectors)
  }

  struct Failure: Error, CustomStringConvertible { let description: String }

  mutating func change(_ sectors: Range<Int>, to value: (Int) -> UInt64) {
    for sector in sectors {
      current[sector] = value(sector)
      possible[sector].insert(value(sector))
    }
  }

  mutating func flushed() {
    for (sector, number) in current.enumerated() {
      if let number { possible[sector] = [number] }
    }
  }

  mutating func wasCut() { current = current.map { _ in nil } }

  mutating func sectors(using generator: inout Xorshift) -> Range<Int> {
    let start = Int.random(in: 0..<current.count, using: &generator)
    let longest = min(generator.next() % 4 == 0 ? 60 : 6, current.count - start)
    return start..<start + Int.random(in: 1...longest, using: &generator)
  }

  /// Reads, and remembers what it was: another read must give the same.
  mutating func read(_ disk: any DiskImage, _ sectors: Range<Int>) throws {
    let bytes = try disk.bytes(UInt64(sectors.lowerBound) * 512, sectors.count * 512)
    for (index, sector) in sectors.enumerated() {
      let words = Array(bytes[index * 512..<index * 512 + 512])
      let number = words.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      guard QCOW2Sectors.bytes([number]) == words else {
        throw Failure(description: "sector \(sector) is torn")
      }
      guard possible[sector].contains(number), current[sector] == nil || current[sector] == number else {
        throw Failure(
          description: "sector \(sector) holds \(number), not \(String(describing: current[sector])) or one "
            + "of \(possible[sector])")
      }
      current[sector] = number
    }
  }

  /// One random operation; what it may change is in the model even if it throws.
  mutating func step(_ disk: MirrorImage, using generator: inout Xorshift) throws {
    let sectors = sectors(using: &generator)
    let offset = UInt64(sectors.lowerBound) * 512
    let count = UInt64(sectors.count) * 512
    switch generator.next() % 20 {
    case 0..<7:
      number += 1000
      let first = number
      change(sectors) { first + UInt64($0) }
      try disk.write(QCOW2Sectors.bytes(sectors.map { first + UInt64($0) }), at: offset)
    case 7:
      change(sectors) { _ in 0 }
      try disk.discard(at: offset, count: count)
    case 8, 9:
      change(sectors) { _ in 0 }
      try disk.writeZeroes(at: offset, count: count, mayUnmap: generator.next() % 2 == 0)
    case 10, 11, 12:
      try disk.flush()
      flushed()
    case 13:
      try disk.checkpoint(clearingAfter: 0)
      flushed()
    case 14, 15:
      try disk.copyNext()
    default:
      try read(disk, sectors)
    }
  }
}
