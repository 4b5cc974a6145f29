internal import Synchronization

/// A device's configuration fields as the driver reads them (virtio 1.3 §2.5), with the generation
/// by which a driver notices that a field of several words changed while it read.
package final class ConfigurationSpace: Sendable {
  private struct Contents {
    var bytes: [UInt8]
    var generation: UInt32 = 0
  }

  private let contents: Mutex<Contents>

  /// Zeroes, `size` bytes.
  package init(size: Int) {
    contents = Mutex(Contents(bytes: [UInt8](repeating: 0, count: size)))
  }

  package var size: Int { contents.withLock { $0.bytes.count } }

  /// Changes with every change of a field that the host made.
  package var generation: UInt32 { contents.withLock { $0.generation } }

  /// Reads `width` bytes, little-endian; nil beyond the end.
  package func load(at offset: Int, width: Int) -> UInt64? {
    contents.withLock { contents in
      guard offset >= 0, width <= contents.bytes.count, offset <= contents.bytes.count - width else {
        return nil
      }
      return contents.bytes[offset..<offset + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  package func load<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self, at offset: Int) -> T {
    T(truncatingIfNeeded: load(at: offset, width: MemoryLayout<T>.size) ?? 0)
  }

  /// Sets a field from the host's side and takes a new generation. The field must lie within the space.
  package func store<T: FixedWidthInteger & UnsignedInteger>(_ value: T, at offset: Int) {
    store(UInt64(value), at: offset, width: MemoryLayout<T>.size, byDriver: false)
  }

  /// Sets a field that its driver wrote: the driver knows, so the generation stays.
  func storeFromDriver(_ value: UInt64, at offset: Int, width: Int) {
    store(value, at: offset, width: width, byDriver: true)
  }

  private func store(_ value: UInt64, at offset: Int, width: Int, byDriver: Bool) {
    contents.withLock { contents in
      for index in 0..<width {
        contents.bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
      }
      if !byDriver { contents.generation &+= 1 }
    }
  }
}
