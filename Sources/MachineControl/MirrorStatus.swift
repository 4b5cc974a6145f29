/// How it stands with a disk that is mirrored.
package struct MirrorStatus: Equatable, Sendable {
  package enum Side: UInt8, Sendable, CaseIterable {
    /// It has everything.
    case current = 0
    /// What it lacks is being copied to it.
    case rebuilding = 1
    /// It failed, or was not there.
    case missing = 2
  }

  /// The disk's.
  package var serial: String
  /// Two, by their places.
  package var sides: [Side]
  /// Bytes that need no copying, of ``total``.
  package var done: UInt64
  /// Bytes of the disk.
  package var total: UInt64
  /// False while the pair's metadata cannot be written, without which the disk cannot either.
  package var isRecorded: Bool

  package init(serial: String, sides: [Side], done: UInt64, total: UInt64, isRecorded: Bool = true) {
    self.serial = serial
    self.sides = sides
    self.done = done
    self.total = total
    self.isRecorded = isRecorded
  }

  package var isWhole: Bool { sides.allSatisfy { $0 == .current } }

  func write(to writer: inout WireWriter) {
    writer.string(serial)
    writer.list(sides) { $0.integer($1.rawValue) }
    writer.integer(done)
    writer.integer(total)
    writer.flag(isRecorded)
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      serial: try reader.string("disk serial"),
      sides: try reader.list("sides") { (reader) throws(WireError) in try reader.choice("side of a mirror") },
      done: try reader.integer(), total: try reader.integer(), isRecorded: try reader.flag("recorded"))
    if sides.count != 2 { throw .badValue("sides of a mirror") }
  }
}
