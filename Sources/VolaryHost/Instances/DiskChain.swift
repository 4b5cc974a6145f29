/// The files that a disk is made of, nearest first: the first is the one that a machine writes, each other is what the
/// one before stands on, and is only read.
package struct DiskChain: Equatable, Sendable {
  package enum Format: String, Codable, Sendable {
    case raw, qcow2
  }

  package struct Layer: Equatable, Sendable {
    package let path: String
    package let format: Format

    package init(path: String, format: Format) {
      self.path = path
      self.format = format
    }
  }

  /// One at least.
  package let layers: [Layer]
  /// Bytes of the disk.
  package let size: UInt64
  /// Nil for a disk that is in one place.
  package let mirror: Mirror?

  /// Nil without layers.
  package init?(layers: [Layer], size: UInt64, mirror: Mirror? = nil) {
    if layers.isEmpty { return nil }
    self.layers = layers
    self.size = size
    self.mirror = mirror
  }

  /// The one that is written.
  package var top: Layer { layers[0] }
}
