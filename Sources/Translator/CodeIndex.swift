/// What it takes to find code that there is, in memory that stays in its place: every CPU reads it, without a lock,
/// while another adds to it.
struct CodeIndex {
  /// Blocks by the identity of their page and their slot there (``key(_:_:)``). The value is where a block's code
  /// begins in the arena, and above it, from bit 32 on, its place in the list of blocks plus 1.
  let blocks: FlatTable.Reader
  /// The pages in the order of their identities.
  let pages: UnsafeMutablePointer<CodePage>
  /// The first page's identity. Changes only while no CPU reads.
  var firstIdentity: UInt32
  /// Where the arena is executed.
  let code: UnsafeRawPointer

  /// What the table of blocks calls a slot of a page.
  @inline(__always) static func key(_ identity: UInt32, _ slot: UInt16) -> UInt64 {
    UInt64(identity) &<< 12 | UInt64(slot)
  }

  /// Where a page keeps the block at an address under a key.
  @inline(__always) static func slot(_ pc: UInt64, _ key: UInt64) -> UInt16 {
    UInt16(truncatingIfNeeded: pc & 0xFFF | key)
  }

  /// The code at a guest address, if the view knows which page is mapped there and there is such a block on it.
  @inline(__always)
  func find(_ pc: UInt64, key: UInt64, view: AddressView) -> (code: UnsafeRawPointer, identity: UInt32)? {
    let identity = view.pageIdentity(pc)
    // What the view says may be of another page that shares the place in its table.
    let page = pages + Int(identity &- firstIdentity)
    guard identity != 0, (page.pointee.address ^ pc) &>> 12 == 0, page.pointee.starts.contains(pc) else {
      return nil
    }
    let value = blocks[Self.key(identity, Self.slot(pc, key))]
    return value == 0 ? nil : (code + Int(truncatingIfNeeded: value & 0xFFFF_FFFF), identity)
  }
}
