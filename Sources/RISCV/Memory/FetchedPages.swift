/// Where guest pages of code are in memory, by guest page and the view they were seen in; direct-mapped.
struct FetchedPages: ~Copyable {
  struct Page {
    let host: UnsafeRawPointer
    /// The page's number in the memory file.
    let number: Int
    /// Whether it is there in all address spaces.
    let isGlobal: Bool
  }

  private struct Entry {
    var address: UInt64 = .max
    var view: UInt64 = 0
    /// Of another epoch than the present, what the entry says is forgotten.
    var epoch: UInt64 = 0
    var page: Page?
  }

  private static let count: UInt64 = 256
  private let entries: UnsafeMutablePointer<Entry>
  private var epoch: UInt64 = 0

  init() {
    entries = .allocate(capacity: Int(Self.count))
    entries.initialize(repeating: Entry(), count: Int(Self.count))
  }

  deinit { entries.deallocate() }

  private static func index(_ address: UInt64) -> Int {
    Int(truncatingIfNeeded: (address >> 12) & (count - 1))
  }

  @inline(__always) func find(_ address: UInt64, view: UInt64) -> Page? {
    let entry = entries + Self.index(address)
    guard entry.pointee.address == address >> 12, entry.pointee.view == view, entry.pointee.epoch == epoch
    else { return nil }
    return entry.pointee.page
  }

  func enter(_ page: Page, at address: UInt64, view: UInt64) {
    entries[Self.index(address)] = Entry(address: address >> 12, view: view, epoch: epoch, page: page)
  }

  /// Forgets which guest page shows which page of memory.
  mutating func forget() { epoch &+= 1 }
}
