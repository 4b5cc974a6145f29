/// A run of guest instructions translated as one piece: entered at its start only, left by its exits.
struct TranslatedBlock: BitwiseCopyable {
  /// The page that it begins on: its place in the list of pages.
  var page: Int32
  /// Where the page keeps it: the offset of its start, with the block key in bit 0.
  var slot: UInt16
  /// Whether it is still to be found.
  var isLive = true
  /// The last site that was made to jump straight here, 0 for none; the others follow by
  /// ``ExitSite/nextIncoming``.
  var firstIncoming: Int32 = 0
  /// The next block of the page, and the next one that ends on the same other page; 0 for none, else the
  /// block's place in the list of blocks, plus 1.
  var next: Int32 = 0
  var nextCrossing: Int32 = 0
}

/// A page of guest code as seen at one virtual address.
///
/// Its identity is what a direct jump into it from another page compares with what the current view
/// says is mapped there.
struct CodePage: BitwiseCopyable {
  /// The guest address, and in its low bits the mode that sets code apart.
  var address: UInt64
  /// The page's number in the memory file.
  var number: Int
  /// The next view of the same page of the memory file: 0 for none, else its place plus 1.
  var next: Int32 = 0
  /// The last block that was made on this page, and the last one that begins on another page and ends on this; as
  /// ``TranslatedBlock/next``.
  var firstBlock: Int32 = 0
  var firstCrossing: Int32 = 0
  /// A bit for every 16 bytes of the page in which blocks may start.
  var starts = Starts()

  /// 256 bits.
  struct Starts: BitwiseCopyable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    @inline(__always) func contains(_ pc: UInt64) -> Bool {
      let word: UInt64
      switch (pc &>> 10) & 3 {
      case 0: word = words.0
      case 1: word = words.1
      case 2: word = words.2
      default: word = words.3
      }
      return word & (1 &<< (pc &>> 4)) != 0
    }

    mutating func insert(_ pc: UInt64) {
      let bit: UInt64 = 1 &<< (pc &>> 4)
      switch (pc &>> 10) & 3 {
      case 0: words.0 |= bit
      case 1: words.1 |= bit
      case 2: words.2 |= bit
      default: words.3 |= bit
      }
    }
  }
}

/// A place where a block ends at a known guest address.
struct ExitSite: BitwiseCopyable {
  /// The guest address that execution goes on at.
  var target: UInt64
  /// Where the jump's 32-bit distance is in the arena.
  var field: Int32
  /// Where the code that leaves to the dispatcher for this exit is in the arena.
  var stub: Int32
  /// Where the immediate is that is compared with the target page's identity; 0 when the target is on
  /// the block's own page.
  var guardField: Int32
  /// The identity that the guard compares with, once set; it never changes, because another CPU may
  /// be between the comparison and the jump.
  var guardIdentity: UInt32
  /// The identity of the page that the block is on, and above it, in bit 31, the block key under which
  /// this was translated.
  var pageAndKey: UInt32
  /// The next site that jumps straight to the same block, 0 for none.
  var nextIncoming: Int32 = 0

  /// Whether it jumps straight to a block, and so is in that block's list.
  var isLinked: Bool {
    get { stub < 0 }
    set { stub = newValue ? stub | .min : stub & .max }
  }

  var page: UInt32 { pageAndKey & 0x7FFF_FFFF }
  var key: UInt64 { UInt64(pageAndKey >> 31) }
}
