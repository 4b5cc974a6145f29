internal import Translator

/// The interpreter's code: pages of decoded instructions, a slot for every halfword, filled as they
/// are reached.
package struct DecodedPages: ~Copyable {
  /// Pages kept at most; beyond, all are dropped. 32 KiB each.
  static let capacity = 256
  static let slots = 2048

  /// Set in ``Instruction/reserved`` of those that need the floating-point unit.
  static let usesFloat: UInt8 = 1
  /// ``Instruction/length`` of a slot that is not decoded yet.
  static let undecoded: UInt8 = 0

  typealias Slots = UnsafeMutablePointer<Instruction>

  /// A decoded page and the bytes that it is decoded from. Those are not looked up again by address, which
  /// may lead elsewhere by then.
  struct Page {
    let slots: Slots
    let host: UnsafeRawPointer
  }

  /// Pages of code that are not decoded, forgotten together with the addresses of those that are.
  var fetched = FetchedPages()
  private var pages: [Int: Slots] = [:]
  /// Guest page (with the view it was seen in) to decoded page, direct-mapped.
  private var lookup = [(key: UInt64, view: UInt64, page: Page?)](repeating: (.max, 0, nil), count: 256)

  /// The decoded page last found for a guest page in a view.
  @inline(__always) func find(_ address: UInt64, view: UInt64) -> Page? {
    let entry = lookup[Int(truncatingIfNeeded: (address >> 12) & 255)]
    return entry.key == address >> 12 && entry.view == view ? entry.page : nil
  }

  /// The decoded page of a page of the memory file at host address `host`, empty at first, and remembers
  /// where it was seen.
  mutating func enter(_ number: Int, host: UnsafeRawPointer, at address: UInt64, view: UInt64) {
    let page: Slots
    if let known = pages[number] {
      page = known
    } else {
      if pages.count >= Self.capacity { removeAll() }
      page = .allocate(capacity: Self.slots)
      var blank = Instruction(.illegal)
      blank.length = Self.undecoded
      page.initialize(repeating: blank, count: Self.slots)
      pages[number] = page
    }
    lookup[Int(truncatingIfNeeded: (address >> 12) & 255)] = (
      address >> 12, view, Page(slots: page, host: host)
    )
  }

  /// Forgets which guest page shows which decoded page.
  mutating func forgetAddresses() {
    fetched.forget()
    guard !pages.isEmpty else { return }
    for index in lookup.indices { lookup[index] = (.max, 0, nil) }
  }

  /// Drops a page whose bytes have changed.
  mutating func remove(page number: Int) {
    guard let page = pages.removeValue(forKey: number) else { return }
    page.deallocate()
    forgetAllAddresses()
  }

  mutating func removeAll() {
    for page in pages.values { page.deallocate() }
    pages.removeAll()
    forgetAllAddresses()
  }

  private mutating func forgetAllAddresses() {
    for index in lookup.indices { lookup[index] = (.max, 0, nil) }
  }
}
