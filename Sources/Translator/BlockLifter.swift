/// Decodes guest code into blocks.
package protocol BlockLifter: AnyObject {
  /// Appends the instructions from a guest address to the end of their block: at most `room`, none
  /// beyond the page. `page` is the host address of the page. Returns how many; 0 if the first
  /// instruction cannot be taken from this page alone and must be interpreted.
  func lift(
    pc: UInt64, page: UnsafeRawPointer, key: UInt64, into buffer: UnsafeMutablePointer<Instruction>,
    room: Int
  ) -> Int
}

/// What a block key's bits mean to the translator.
package enum BlockKeyBit {
  /// The block uses floating point: the guest's registers and rounding mode are in the host's while it runs,
  /// and the mode is one that the host has. Without this bit floating-point arithmetic is called out for.
  package static let usesFloat: UInt64 = 1
  /// Not part of the key but of the mode: the block's loads and stores go through the CPU's ``AddressWindow``.
  package static let usesWindow: UInt64 = 8
}
