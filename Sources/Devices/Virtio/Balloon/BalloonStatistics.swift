/// What a guest tells of its memory (virtio 1.3 §5.5.6.4): counts since its start, sizes in bytes. Nil
/// where the guest does not tell.
package struct BalloonStatistics: Equatable, Sendable {
  package private(set) var swappedIn: UInt64?
  package private(set) var swappedOut: UInt64?
  package private(set) var majorFaults: UInt64?
  package private(set) var minorFaults: UInt64?
  /// Not used for anything.
  package private(set) var free: UInt64?
  package private(set) var total: UInt64?
  /// What programs could get without swapping.
  package private(set) var available: UInt64?
  package private(set) var diskCaches: UInt64?

  /// The most entries of a report that are looked at.
  private static let entryLimit = 64

  /// Reads a report: a 16-bit tag and a 64-bit value each.
  init(_ reader: inout ChainReader) {
    for _ in 0..<Self.entryLimit {
      guard reader.remaining >= 10, let tag = reader.load(UInt16.self),
        let value = reader.load(UInt64.self)
      else { return }
      switch tag {
      case 0: swappedIn = value
      case 1: swappedOut = value
      case 2: majorFaults = value
      case 3: minorFaults = value
      case 4: free = value
      case 5: total = value
      case 6: available = value
      case 7: diskCaches = value
      default: break
      }
    }
  }
}
