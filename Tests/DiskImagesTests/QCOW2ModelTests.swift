import DiskImages
import Glibc
import HostSystem
import Testing

/// qcow2 images against a plain array of bytes, and against QEMU's own programs at the end of each sequence.
@Suite struct QCOW2ModelTests {
  static let sequences = QCOW2Tools.numberFromEnvironment("VOLARY_QCOW2_SEQUENCES") ?? 200

  /// Options of all kinds, by number.
  static func options(using generator: inout Xorshift) -> QCOW2Options {
    var options = QCOW2Options()
    if generator.next() % 8 == 0 {
      options.version = 2
      options.clusterSize = [512, 4096, 65536].randomElement(using: &generator)!
      return options
    }
    options.clusterSize = [512, 1024, 4096, 16384, 65536, 262_144].randomElement(using: &generator)!
    options.hasExtendedL2 = options.clusterSize >= 16384 && generator.next() % 2 == 0
    options.hasLazyRefcounts = generator.next() % 4 == 0
    options.refcountBits = [8, 16, 16, 32, 64].randomElement(using: &generator)!
    options.compression = generator.next() % 2 == 0 ? .zlib : .zstd
    return options
  }

  /// Steps of a sequence at most: fewer in the usual run.
  static let longest = sequences > 200 ? 120 : 60
  static let first = QCOW2Tools.numberFromEnvironment("VOLARY_QCOW2_FIRST") ?? 0

  @Test(arguments: first..<first + sequences)
  func `random operations`(seed: Int) throws {
    try QCOW2Tools.inDirectory { directory in
      var generator = Xorshift(seed: UInt64(seed) + 1)
      var sequence = try QCOW2Sequence(in: directory, using: &generator)
      for _ in 0..<Int.random(in: 10...Self.longest, using: &generator) {
        try sequence.step(using: &generator)
      }
      try sequence.finish()
    }
  }
}

/// One image, what it should hold, and what is done to it.
struct QCOW2Sequence {
  let directory: String
  let path: String
  /// Nil between two openings: the file is locked.
  private var opened: QCOW2Image?
  var image: QCOW2Image { opened! }
  var model: [UInt8]
  var backing: (any DiskImage)?
  var backingContents: [UInt8]?
  var number: UInt8 = 0
  let options: QCOW2Options
  var snapshots: [(name: String, contents: [UInt8])] = []
  /// What was changed since each bitmap was made or cleared.
  var changed: [String: [Range<Int>]] = [:]
  var enabled: Set<String> = []
  var log: [String] = []

  init(in directory: String, using generator: inout Xorshift) throws {
    self.directory = directory
    path = directory + "/image.qcow2"
    var options = QCOW2ModelTests.options(using: &generator)
    let size = 512 * Int.random(in: 1...1500, using: &generator)
    model = [UInt8](repeating: 0, count: size)
    if generator.next() % 2 == 0 {
      // Shorter and longer than the layer.
      let count = 512 * Int.random(in: 1...2000, using: &generator)
      let contents = Array(QCOW2Tools.pattern[..<count])
      try QCOW2Tools.write(contents, to: directory + "/backing.raw")
      backing = try QCOW2Tools.disk(contents)
      backingContents = contents
      options.backingName = directory + "/backing.raw"
      options.backingFormat = "raw"
      model.replaceSubrange(0..<min(count, size), with: contents[..<min(count, size)])
    }
    self.options = options
    try QCOW2Tools.create(path, size: UInt64(size), options)
    opened = try QCOW2Tools.open(path, backing: backing)
  }

  mutating func range(using generator: inout Xorshift) -> Range<Int> {
    let grain = generator.next() % 8 == 0 ? 1 : 512
    let longest = [4, 40, 400].randomElement(using: &generator)! * 512
    let start = Int.random(in: 0..<model.count / grain, using: &generator) * grain
    let count =
      Int.random(in: 1...max(1, min(longest, model.count - start) / grain), using: &generator) * grain
    return start..<min(model.count, start + count)
  }

  mutating func step(using generator: inout Xorshift) throws {
    let range = range(using: &generator)
    switch generator.next() % 16 {
    case 0...5:
      log.append("write \(range)")
      number = number % 250 + 1
      let bytes = [UInt8](repeating: number, count: range.count)
      try image.write(bytes, at: UInt64(range.lowerBound))
      model.replaceSubrange(range, with: bytes)
      note(range)
    case 6:
      log.append("discard \(range)")
      try image.discard(at: UInt64(range.lowerBound), count: UInt64(range.count))
      try acceptDiscard(range)
    case 7, 8:
      let mayUnmap = generator.next() % 2 == 0
      log.append("zero \(range) \(mayUnmap)")
      try image.writeZeroes(at: UInt64(range.lowerBound), count: UInt64(range.count), mayUnmap: mayUnmap)
      model.replaceSubrange(range, with: repeatElement(0, count: range.count))
      note(range)
    case 9 where generator.next() % 2 == 0:
      log.append("flush")
      try image.flush()
    case 10 where generator.next() % 3 == 0:
      log.append("reopen")
      try reopen()
    case 11 where generator.next() % 3 == 0: try snapshotStep(using: &generator)
    case 12: try compressedStep(range)
    case 13 where generator.next() % 3 == 0: try resizeStep(using: &generator)
    case 14 where options.version >= 3 && generator.next() % 2 == 0: try bitmapStep(using: &generator)
    default:
      try #require(
        image.bytes(UInt64(range.lowerBound), range.count) == Array(model[range]), "\(options) \(log)")
    }
  }

  private mutating func compressedStep(_ range: Range<Int>) throws {
    let unit = Int(options.clusterSize)
    let start = range.lowerBound / unit * unit
    let end = min(model.count, start + unit)
    log.append("compressed \(start..<end)")
    number = number % 250 + 1
    var bytes = [UInt8](repeating: number, count: end - start)
    for index in stride(from: 0, to: bytes.count, by: 97) {
      bytes[index] = UInt8(truncatingIfNeeded: index / 64)
    }
    try bytes.withUnsafeBytes { try image.writeCompressed(at: UInt64(start), from: $0) }
    model.replaceSubrange(start..<end, with: bytes)
    note(start..<end)
  }

  private mutating func resizeStep(using generator: inout Xorshift) throws {
    let limit = generator.next() % 8 == 0 ? 20000 : 2000
    let size = 512 * Int.random(in: 1...limit, using: &generator)
    log.append("resize \(model.count) to \(size)")
    try image.resize(to: UInt64(size), mayShrink: true)
    if size < model.count {
      model.removeLast(model.count - size)
    } else {
      model += [UInt8](repeating: 0, count: size - model.count)
    }
    // What is at the old end may be one bit with what was changed there.
    for name in changed.keys { changed[name] = changed[name]?.filter { $0.upperBound <= size } }
    #expect(image.size == UInt64(size))
  }

  /// Notes a change for the enabled bitmaps.
  mutating func note(_ range: Range<Int>) {
    for name in changed.keys where enabled.contains(name) { changed[name]?.append(range) }
  }

  private mutating func bitmapStep(using generator: inout Xorshift) throws {
    switch generator.next() % 8 {
    case 0, 1, 2:
      let name = "b\(log.count)"
      let isEnabled = generator.next() % 4 != 0
      log.append("bitmap \(name) \(isEnabled)")
      try image.createBitmap(
        name, granularity: 512 << (generator.next() % 8), isEnabled: isEnabled)
      changed[name] = []
      if isEnabled { enabled.insert(name) }
    case 3:
      guard let name = changed.keys.sorted().randomElement(using: &generator) else { return }
      log.append("remove \(name)")
      try image.removeBitmap(name)
      changed[name] = nil
      enabled.remove(name)
    case 4:
      guard let name = changed.keys.sorted().randomElement(using: &generator) else { return }
      log.append("clear \(name)")
      try image.clearBitmap(name)
      changed[name] = []
    case 5:
      guard let name = changed.keys.sorted().randomElement(using: &generator),
        let other = changed.keys.sorted().randomElement(using: &generator)
      else { return }
      log.append("merge \(name) into \(other)")
      try image.mergeBitmap(name, into: other)
      let more = changed[name] ?? []
      changed[other]?.append(contentsOf: more)
    case 6:
      guard let name = changed.keys.sorted().randomElement(using: &generator) else { return }
      let isEnabled = !enabled.contains(name)
      log.append("enable \(name) \(isEnabled)")
      try image.setBitmap(name, isEnabled: isEnabled)
      if isEnabled { enabled.insert(name) } else { enabled.remove(name) }
    default: try checkBitmaps()
    }
  }

  /// What was changed is dirty.
  private func checkBitmaps() throws {
    #expect(image.bitmapList.map(\.name).sorted() == changed.keys.sorted())
    for (name, ranges) in changed {
      let info = try #require(image.bitmapList.first { $0.name == name })
      try #require(info.isEnabled == enabled.contains(name) && !info.isInconsistent, "\(log)")
      for range in ranges where range.lowerBound < model.count {
        let extent = try image.dirtyExtent(
          of: name, at: UInt64(range.lowerBound), limit: UInt64(min(model.count, range.upperBound)))
        try #require(
          extent.isDirty && extent.end == UInt64(min(model.count, range.upperBound)),
          "\(name) \(range) \(log)")
      }
    }
  }

  private mutating func snapshotStep(using generator: inout Xorshift) throws {
    switch generator.next() % 6 {
    case 0, 1:
      let name = "s\(log.count)"
      log.append("snapshot \(name)")
      try image.createSnapshot(name)
      snapshots.append((name, model))
    case 2 where !snapshots.isEmpty:
      let index = Int.random(in: 0..<snapshots.count, using: &generator)
      log.append("delete \(snapshots[index].name)")
      try image.deleteSnapshot(snapshots[index].name)
      snapshots.remove(at: index)
    case 3 where !snapshots.isEmpty:
      let snapshot = snapshots.randomElement(using: &generator)!
      log.append("apply \(snapshot.name)")
      try image.applySnapshot(snapshot.name)
      model = snapshot.contents
      note(0..<model.count)
    default:
      guard let snapshot = snapshots.randomElement(using: &generator) else { return }
      let disk = try image.openSnapshot(snapshot.name)
      try #require(disk.size == UInt64(snapshot.contents.count))
      try #require(
        disk.bytes(0, snapshot.contents.count) == snapshot.contents, "\(snapshot.name) \(options) \(log)")
      #expect(throws: Errno.self) { try image.deleteSnapshot(snapshot.name) }
    }
    #expect(image.snapshotList.map(\.name) == snapshots.map(\.name))
  }

  /// What a discard touches in part holds the old or zeroes; what it covers is zero, unless version 2 cannot say so.
  private mutating func acceptDiscard(_ range: Range<Int>) throws {
    let found = try image.bytes(UInt64(range.lowerBound), range.count)
    guard found != Array(model[range]) else { return }
    for index in found.indices where found[index] != model[range.lowerBound + index] {
      guard found[index] == 0 else { throw QCOW2Tools.Failure(description: "\(options) \(log)") }
      model[range.lowerBound + index] = 0
    }
    let unit = Int(options.clusterSize)
    let start = (range.lowerBound + unit - 1) / unit * unit
    let end = range.upperBound == model.count ? model.count : range.upperBound / unit * unit
    if start < end, options.version >= 3 { try #require(isZero(start..<end), "\(log)") }
  }

  mutating func reopen() throws {
    try image.close()
    opened = nil
    opened = try QCOW2Tools.open(path, backing: backing)
    try checkBitmaps()
  }

  mutating func finish() throws {
    try #require(image.bytes(0, model.count) == model, "\(options) \(log)")
    try checkExtents()
    try checkBitmaps()
    for snapshot in snapshots {
      try #require(
        image.openSnapshot(snapshot.name).bytes(0, snapshot.contents.count) == snapshot.contents, "\(log)")
    }
    let check = try image.check()
    try #require(check.isClean, "\(check) \(options) \(log)")
    try image.close()
    opened = nil
    try #require(
      QCOW2Tools.open(path, backing: backing, readOnly: true).bytes(0, model.count) == model, "\(log)")
    try QCOW2Tools.write(model, to: directory + "/model.raw")
    do {
      try QCOW2Tools.check(path)
      try QCOW2Tools.run("qemu-img compare -U -f qcow2 -F raw \(path) \(directory)/model.raw")
      // QEMU reads snapshots in the size that the disk has now.
      if let snapshot = snapshots.last(where: { $0.contents.count == model.count }) {
        try QCOW2Tools.write(snapshot.contents, to: directory + "/model.raw")
        try QCOW2Tools.run(
          "qemu-img convert -l snapshot.name=\(snapshot.name) -f qcow2 -O raw \(path) \(directory)/snapshot.raw"
            + " && cmp \(directory)/snapshot.raw \(directory)/model.raw")
      }
    } catch {
      throw QCOW2Tools.Failure(description: "\(error)\n\(options)\n\(log)")
    }
    if let backing, let backingContents {
      #expect(try backing.bytes(0, backingContents.count) == backingContents)
    }
  }

  private func isZero(_ range: Range<Int>) -> Bool {
    Array(model[range]) == [UInt8](repeating: 0, count: range.count)
  }

  /// Extents cover the disk, and what is said to be zero is.
  func checkExtents() throws {
    var position: UInt64 = 0
    while position < image.size {
      let extent = try image.extent(at: position, limit: image.size)
      try #require(extent.end > position && extent.end <= image.size)
      if extent.content == .zero {
        try #require(isZero(Int(position)..<Int(extent.end)), "\(options) \(log)")
      }
      position = extent.end
    }
  }
}
