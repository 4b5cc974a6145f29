import DiskImages
import HostSystem
import Synchronization

/// qcow2 images, changed where a field or an entry of a table is.
extension FuzzTarget {
  static let qcow2 = QCOW2Sample.Part.allCases.map { part in
    FuzzTarget("qcow2-\(part.rawValue)") { (random) in try changedQCOW2(part, &random) }
  }

  private static let samples = Mutex<[QCOW2Sample]>([])

  private static func sample(_ random: inout FuzzRandom) throws -> QCOW2Sample {
    let made = samples.withLock { $0 }
    if !made.isEmpty { return random.pick(made) }
    let all = try QCOW2Sample.all()
    samples.withLock { $0 = all }
    return random.pick(all)
  }

  private static func changedQCOW2(_ part: QCOW2Sample.Part, _ random: inout FuzzRandom) throws {
    let sample = try sample(&random)
    var bytes = sample.bytes
    for number in 0..<1 + random.below(4) {
      // The part that is meant, and at times another with it.
      let chosen = number > 0 && random.once(in: 3) ? random.pick(QCOW2Sample.Part.allCases) : part
      sample.change(chosen, in: &bytes, &random)
    }
    if random.once(in: 20) { bytes.removeLast(random.below(bytes.count)) }
    read(bytes, sample, &random)
    write(bytes, sample, &random)
    let damaged = try QCOW2Sample.file(bytes)
    let found = try QCOW2Image.check(file: damaged)
    _ = try QCOW2Image.repair(file: damaged)
    let left = try QCOW2Image.check(file: damaged)
    precondition(left.leaks == 0 || left.corruptions > 0, "what was repaired leaks: \(found) \(left)")
  }

  /// Opens an image to read it. An extent of zeroes reads as zero; what is read twice is the same.
  private static func read(_ bytes: [UInt8], _ sample: QCOW2Sample, _ random: inout FuzzRandom) {
    guard let file = try? QCOW2Sample.file(bytes, readOnly: true),
      let disk = try? QCOW2Image(file, backing: sample.backing())
    else { return }
    look(disk, &random)
    for snapshot in disk.snapshotList.prefix(3) {
      guard let old = try? disk.openSnapshot(snapshot.name) else { continue }
      look(old, &random)
    }
    for bitmap in disk.bitmapList.prefix(3) {
      _ = try? disk.dirtyExtent(of: bitmap.name, at: 0, limit: disk.size)
    }
    _ = try? disk.check()
  }

  private static func look(_ disk: any DiskImage, _ random: inout FuzzRandom) {
    precondition(disk.size % 512 == 0)
    var position: UInt64 = 0
    for _ in 0..<40 {
      guard position < disk.size, let extent = try? disk.extent(at: position, limit: disk.size) else { break }
      precondition(extent.end > position && extent.end <= disk.size)
      var buffer = [UInt8](repeating: 1, count: Int(min(extent.end - position, 70_000)))
      let isRead = (try? buffer.withUnsafeMutableBytes { try disk.read(at: position, into: $0) }) != nil
      if extent.content == .zero { precondition(isRead && buffer.allSatisfy { $0 == 0 }) }
      if isRead {
        var again = [UInt8](repeating: 2, count: buffer.count)
        try? again.withUnsafeMutableBytes { try disk.read(at: position, into: $0) }
        precondition(again == buffer)
      }
      position = extent.end
    }
    for _ in 0..<4 {
      let offset = random.once(in: 3) ? random.number() : random.next() % max(1, disk.size)
      var buffer = [UInt8](repeating: 0, count: random.below(100_000))
      try? buffer.withUnsafeMutableBytes { try disk.read(at: offset, into: $0) }
    }
  }

  /// Opens an image to change it in every way there is.
  private static func write(_ bytes: [UInt8], _ sample: QCOW2Sample, _ random: inout FuzzRandom) {
    guard let file = try? QCOW2Sample.file(bytes), let disk = try? QCOW2Image(file, backing: sample.backing())
    else { return }
    for _ in 0..<12 {
      let size = max(1, disk.size)
      let offset = random.once(in: 4) ? random.next() % size : random.next() % min(size, 200_000)
      let count = random.below(20_000)
      switch random.below(14) {
      case 0...3: try? random.bytes(count).withUnsafeBytes { try disk.write(at: offset, from: $0) }
      case 4: try? disk.writeZeroes(at: offset, count: UInt64(count), mayUnmap: random.once(in: 2))
      case 5: try? disk.discard(at: offset, count: UInt64(count))
      case 6: try? disk.flush()
      case 7:
        let cluster = [UInt8](repeating: 9, count: sample.clusterSize)
        let place = offset / UInt64(sample.clusterSize) * UInt64(sample.clusterSize)
        try? cluster.withUnsafeBytes { try disk.writeCompressed(at: place, from: $0) }
      case 8: _ = try? disk.createSnapshot("new\(random.below(3))")
      case 9: try? disk.applySnapshot(random.pick(["one", "two", "new0"]))
      case 10: try? disk.deleteSnapshot(random.pick(["one", "two", "new0"]))
      case 11:
        try? disk.createBitmap("c", granularity: 512)
        try? disk.mergeBitmap("b", into: "c")
        if random.once(in: 2) { try? disk.removeBitmap("b") }
      case 12: try? disk.resize(to: UInt64(random.below(2000)) * 512, mayShrink: random.once(in: 2))
      default: if random.once(in: 3) { _ = try? disk.repair() }
      }
    }
    if random.once(in: 2) { look(disk, &random) }
    try? disk.close()
  }
}
