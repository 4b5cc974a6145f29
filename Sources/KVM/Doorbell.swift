/// A write that the kernel turns into a signal, without leaving the guest for long (ioeventfd).
package struct Doorbell: Hashable, Sendable {
  package enum Place: Hashable, Sendable {
    /// A physical address.
    case memory(UInt64)
    case port(UInt16)
  }

  package var place: Place
  /// Bytes that the write has: 1, 2, 4 or 8, or 0 for any number.
  package var width: Int
  /// The value that is written; nil for any.
  package var value: UInt64?

  package init(_ place: Place, width: Int, value: UInt64? = nil) {
    self.place = place
    self.width = width
    self.value = value
  }
}
