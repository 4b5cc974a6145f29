/// Which places of a table were touched since it was last cleared: their numbers, or that there were too many.
///
/// A view of bytes in the table's own memory. All zero is a log that knows nothing, so that everything may have been
/// touched.
@usableFromInline
struct TouchLog {
  /// Numbers that a log has room for.
  @inlinable static var capacity: UInt32 { 1500 }
  /// What the count is more by: zeroed memory is not an empty log.
  @inlinable static var none: UInt32 { 1 }

  /// The count, 32 bits, and then 16 bits a number.
  @usableFromInline let base: UnsafeMutableRawPointer

  @inlinable init(base: UnsafeMutableRawPointer) { self.base = base }

  @inlinable func note(_ place: Int) {
    let count = base.load(as: UInt32.self)
    // Full, or nothing known.
    if count &- Self.none >= Self.capacity { return base.storeBytes(of: 0, as: UInt32.self) }
    base.storeBytes(of: UInt16(truncatingIfNeeded: place), toByteOffset: 2 + Int(count) * 2, as: UInt16.self)
    base.storeBytes(of: count + 1, as: UInt32.self)
  }

  func forget() { base.storeBytes(of: Self.none, as: UInt32.self) }

  var isEmpty: Bool { base.load(as: UInt32.self) == Self.none }

  /// Calls `body` with every place that was touched, some perhaps more than once; false, without a call, when there
  /// were too many.
  @inline(__always) func forEach(_ body: (Int) -> Void) -> Bool {
    let count = base.load(as: UInt32.self)
    guard count >= Self.none else { return false }
    for index in 0..<Int(count - Self.none) {
      body(Int(base.load(fromByteOffset: 4 + index * 2, as: UInt16.self)))
    }
    return true
  }
}
