/// How it stands with a mirror at some moment.
package struct MirrorState: Equatable, Sendable {
  package enum Side: Equatable, Sendable {
    /// It has everything, and is read.
    case current
    /// It is written, and what it lacks is being copied to it.
    case rebuilding
    /// It failed, or was not there at the opening.
    case missing
  }

  /// One for each side, in the metadata's order.
  package let sides: [Side]
  /// What the metadata calls the sides.
  package let names: [String]
  /// Counts the changes of which sides are current.
  package let generation: UInt64
  /// Bytes that need no copying, of ``total``, rounded to regions. After a crash some are to be compared again
  /// although both sides are current.
  package let done: UInt64
  /// Bytes of the disk.
  package let total: UInt64
  /// Whether the metadata says the same. If not, it could not be written, and neither can the disk.
  package let isRecorded: Bool

  /// Whether both sides are current.
  package var isWhole: Bool { sides.allSatisfy { $0 == .current } }
}
