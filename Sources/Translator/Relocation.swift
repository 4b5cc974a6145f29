/// A place in a block's code that depends on where in the guest, or where in the arena, the block is: what is to be
/// changed in a copy of it.
struct Relocation: BitwiseCopyable {
  enum Kind: UInt32 {
    /// Four bytes: the distance to a fixed piece of code.
    case distance
    /// Eight bytes: a guest address that is as far from the block's wherever that is.
    case place
    /// Four bytes: twice the number of an exit, and in bit 0 something else.
    case exit
  }

  private let bits: UInt32

  init(_ kind: Kind, at offset: Int) { bits = UInt32(truncatingIfNeeded: offset) << 2 | kind.rawValue }

  var kind: Kind { Kind(rawValue: bits & 3).unsafelyUnwrapped }
  /// Bytes from the block's start.
  var offset: Int { Int(bits >> 2) }
}

/// A translated block that can be copied to where its page is seen at another guest address.
struct BlockOriginal: BitwiseCopyable {
  /// The guest address that it was translated at.
  var pc: UInt64
  /// Where its code is in the generator's buffer.
  var start: Int32
  var size: Int32
  /// The number of its first exit, and what it has of exits, of relocations and of accesses that may fault.
  var firstSite: Int32
  var siteCount: Int32
  var firstRelocation: Int32
  var relocationCount: Int32
  var firstFault: Int32
  var faultCount: Int32
}
