internal import HostSystem

/// A piece of a table in memory, as it is in the file (big-endian) or is to be.
final class QCOW2Page {
  let offset: UInt64
  let bytes: UnsafeMutableRawBufferPointer
  /// Counts the changes.
  fileprivate(set) var version: UInt64 = 0
  /// The version that is in the file.
  fileprivate(set) var stored: UInt64 = 0
  /// Looked at since the sweep came by.
  fileprivate var isUsed = true

  fileprivate init(offset: UInt64, size: Int) {
    self.offset = offset
    bytes = .allocate(byteCount: size, alignment: 16)
  }

  deinit { bytes.deallocate() }

  var isDirty: Bool { version != stored }

  @inline(__always)
  func word(_ index: Int) -> UInt64 {
    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self))
  }
}

/// What of one kind of tables is in memory: a bounded number of clean pages, and the dirty ones until they are
/// stored, which is the image's to do in time and in order. Guarded by the image's lock.
final class QCOW2Pages {
  /// A dirty page as it was at some moment.
  struct Copy {
    let page: QCOW2Page
    let version: UInt64
    let contents: QCOW2Buffer
  }

  private let file: QCOW2File
  let pageSize: Int
  private let capacity: Int
  private var pages: [UInt64: QCOW2Page] = [:]
  private var dirty: [UInt64: QCOW2Page] = [:]
  /// All pages, in the order of the sweep that throws out what was not looked at.
  private var ring: [QCOW2Page] = []
  private var hand = 0
  private var last: QCOW2Page?

  /// Keeps about `limit` bytes.
  init(_ file: QCOW2File, pageSize: Int, limit: Int) {
    self.file = file
    self.pageSize = pageSize
    capacity = max(4, limit / pageSize)
  }

  var dirtyCount: Int { dirty.count }
  var count: Int { pages.count }

  /// The page at an offset of the file that is a multiple of the page size.
  func page(at offset: UInt64) throws(Errno) -> QCOW2Page {
    if let last, last.offset == offset { return last }
    if let page = pages[offset] {
      page.isUsed = true
      last = page
      return page
    }
    let page = QCOW2Page(offset: offset, size: pageSize)
    try file.read(at: offset, into: page.bytes)
    if pages.count >= capacity { evict() }
    pages[offset] = page
    ring.append(page)
    last = page
    return page
  }

  /// Throws out one clean page, if there is one.
  private func evict() {
    for _ in 0..<ring.count * 2 {
      if hand >= ring.count { hand = 0 }
      let page = ring[hand]
      if page.isUsed || page.isDirty {
        page.isUsed = false
        hand += 1
      } else {
        remove(at: hand)
        return
      }
    }
  }

  private func remove(at index: Int) {
    let page = ring[index]
    pages[page.offset] = nil
    dirty[page.offset] = nil
    if last === page { last = nil }
    ring[index] = ring[ring.count - 1]
    ring.removeLast()
  }

  /// Changes a page's bytes.
  @inline(__always)
  func change(_ page: QCOW2Page, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    body(page.bytes)
    if !page.isDirty { dirty[page.offset] = page }
    page.version += 1
  }

  func setWord(_ index: Int, of page: QCOW2Page, to word: UInt64) {
    change(page) { $0.storeBytes(of: word.bigEndian, toByteOffset: index * 8, as: UInt64.self) }
  }

  /// Forgets what is inside a range of the file, changed or not.
  func forget(_ range: Range<UInt64>) {
    var index = 0
    while index < ring.count {
      if range.contains(ring[index].offset) { remove(at: index) } else { index += 1 }
    }
  }

  func forgetAll() {
    pages = [:]
    dirty = [:]
    ring = []
    last = nil
  }

  /// The dirty pages, sorted by place.
  func copies() -> [Copy] {
    dirty.values.sorted { $0.offset < $1.offset }.map { page in
      let contents = QCOW2Buffer(count: pageSize)
      contents.bytes.copyMemory(from: UnsafeRawBufferPointer(page.bytes))
      return Copy(page: page, version: page.version, contents: contents)
    }
  }

  /// Writes copies to the file; pages side by side go together. Needs no lock.
  static func write(_ copies: [Copy], to file: QCOW2File) throws(Errno) {
    var index = 0
    while index < copies.count {
      let size = copies[index].contents.bytes.count
      var end = index + 1
      while end < copies.count, end - index < 64,
        copies[end].page.offset == copies[end - 1].page.offset + UInt64(size)
      {
        end += 1
      }
      if end == index + 1 {
        try file.write(
          at: copies[index].page.offset, from: UnsafeRawBufferPointer(copies[index].contents.bytes))
      } else {
        let joined = QCOW2Buffer(count: size * (end - index))
        for (place, copy) in copies[index..<end].enumerated() {
          joined[place * size..<(place + 1) * size].copyMemory(
            from: UnsafeRawBufferPointer(copy.contents.bytes))
        }
        try file.write(at: copies[index].page.offset, from: UnsafeRawBufferPointer(joined.bytes))
      }
      index = end
    }
  }

  /// Notes that copies are in the file.
  func markStored(_ copies: [Copy]) {
    for copy in copies {
      copy.page.stored = copy.version
      if !copy.page.isDirty { dirty[copy.page.offset] = nil }
    }
    while pages.count > capacity, pages.count > dirty.count {
      let before = pages.count
      evict()
      if pages.count == before { break }
    }
  }
}
