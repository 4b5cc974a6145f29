internal import HostSystem

/// The file of a mirror's metadata: reads the copy that counts, and writes the two in turn. One user at a time.
final class MirrorLedger {
  private let file: any ImageFile
  /// The copy that is on stable storage; a write that fails leaves it alone.
  private var soundSlot: Int
  /// The number of the last write that was tried.
  private var sequence: UInt64

  var name: String { file.name }

  private init(_ file: any ImageFile, soundSlot: Int, sequence: UInt64) {
    self.file = file
    self.soundSlot = soundSlot
    self.sequence = sequence
  }

  /// Makes new metadata, both copies; what the file held is lost.
  static func create(_ file: any ImageFile, _ record: MirrorRecord) throws(Errno) {
    try file.resize(to: 0)
    let ledger = MirrorLedger(file, soundSlot: 1, sequence: 0)
    try ledger.store(record, inBoth: true)
  }

  static func open(_ file: any ImageFile) throws(MirrorError) -> (ledger: MirrorLedger, record: MirrorRecord)
  {
    let name = file.name
    let slots: [MirrorRecord.Reading]
    do {
      slots = [try read(0, of: file), try read(1, of: file)]
    } catch {
      throw .system(name: name, operation: "read", error)
    }
    // A copy of a later version may be the newer one.
    for case .unknownVersion(let version) in slots { throw .unknownVersion(name: name, version: version) }
    var best: (slot: Int, record: MirrorRecord)?
    for (slot, reading) in slots.enumerated() {
      guard case .sound(let record) = reading else { continue }
      if let other = best, other.record.sequence >= record.sequence { continue }
      best = (slot, record)
    }
    if let best {
      return (MirrorLedger(file, soundSlot: best.slot, sequence: best.record.sequence), best.record)
    }
    for case .damaged(let reason) in slots { throw .damaged(name: name, reason: reason) }
    throw .notMetadata(name: name)
  }

  /// Writes a record over the older copy, and returns when it is on stable storage. What changes which sides are
  /// current goes to both copies, so that damage to one later does not bring the older state back.
  func store(_ record: MirrorRecord, inBoth: Bool) throws(Errno) {
    for _ in 0..<(inBoth ? 2 : 1) {
      var record = record
      sequence += 1
      record.sequence = sequence
      let slot = 1 - soundSlot
      try file.write(record.encoded(), at: UInt64(slot) * MirrorRecord.slotSize)
      try file.sync()
      soundSlot = slot
    }
  }

  private static func read(_ slot: Int, of file: any ImageFile) throws(Errno) -> MirrorRecord.Reading {
    let size = try file.size()
    let start = UInt64(slot) * MirrorRecord.slotSize
    func bytes(_ offset: UInt64, _ count: Int) throws(Errno) -> [UInt8] {
      let held = Int(min(UInt64(count), size - min(size, offset)))
      return held == 0 ? [] : try file.bytes(at: offset, count: held)
    }
    return try MirrorRecord.reading(bytes(start, MirrorRecord.headerSize)) { (count) throws(Errno) in
      try bytes(start + UInt64(MirrorRecord.headerSize), count)
    }
  }
}
