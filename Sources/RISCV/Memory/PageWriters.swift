internal import HostSystem
internal import Translator

/// Under which place in its views' write tables a hart last entered each page of the memory file, so that taking
/// the right to write a page away does not mean to search the tables.
struct PageWriters: ~Copyable {
  /// What a hart did with a page since its right to write it was last taken away.
  enum Place: Equatable {
    case none
    /// All entries that lead to the page are at this offset in their tables.
    case offset(Int)
    case several
  }

  /// 16 bits a page: 0 for none, all ones for several, else the entry's number plus 1.
  private let mapping: Mapping
  private var cells: UnsafeMutablePointer<UInt16> { mapping.base.assumingMemoryBound(to: UInt16.self) }

  /// For a memory file of so many pages. Host memory is taken as it is touched.
  init(pages: Int) throws(Errno) { mapping = try Mapping.map(size: max(4096, pages * 2)) }

  /// Notes that a page was entered in a write table for a guest address.
  @inline(__always) func note(page: Int, address: UInt64) {
    let number = UInt16(truncatingIfNeeded: AddressView.entryOffset(address) &>> 4 &+ 1)
    let known = cells[page]
    if known != number { cells[page] = known == 0 ? number : .max }
  }

  /// No page is in write tables any more.
  func forget() { cells.update(repeating: 0, count: mapping.size / 2) }

  /// Where the page is in write tables, which the caller takes it out of.
  func take(page: Int) -> Place {
    let known = cells[page]
    cells[page] = 0
    return known == 0 ? .none : known == .max ? .several : .offset(Int(known - 1) << 4)
  }
}
