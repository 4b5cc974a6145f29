import GuestMemory
import HostSystem
import Synchronization
import Testing

/// The dirty log as devices feed it.
@Suite struct DirtyLogTests {
  private let memory: GuestMemory
  private let log: DirtyLog

  init() throws {
    // The second region's first page is page 3 of the memory file.
    memory = try GuestMemory(regions: [(base: 0x1000, size: 3 << 12), (base: 1 << 32, size: 70 << 12)])
    log = DirtyLog(memory, sources: [])
  }

  private func pages(_ pages: DirtyPages) -> [Int] { (0..<pages.pageCount).filter { pages.contains($0) } }

  @Test func notesEachWayOfWriting() throws {
    try memory.slice(at: 0x1000, count: 8).store(1 as UInt64, at: 0)
    try log.start()
    #expect(try log.take().isEmpty, "what was written before the start")
    try memory.slice(at: 0x1000, count: 16).store(1 as UInt8, at: 15)
    #expect(try pages(log.take()) == [0])
    #expect(try log.take().isEmpty)
    // Over a page's end; a part of a slice; a whole region.
    try memory.slice(at: 0x1FFC, count: 8).store(1 as UInt64, at: 0)
    #expect(try pages(log.take()) == [0, 1])
    let slice = try memory.slice(at: 1 << 32, count: 70 << 12)
    slice.part(0x3000..<0x3001).clear()
    slice.part(0x2_2FFE..<0x2_3004).storeReleasing16(7, at: 2)
    #expect(try pages(log.take()) == [6, 3 + 0x23])
    [1, 2, 3].withUnsafeBytes { slice.part(0x44FFE..<0x4_6000).copy(from: $0) }
    #expect(try pages(log.take()) == [3 + 0x44, 3 + 0x45])
    slice.withMutableBytes { $0[0] = 1 }
    let all = try log.take()
    #expect(all.count == 70 && all.ranges == [3..<73])
    // Reading is no writing; giving pages back is, as they read as zeroes.
    _ = slice.copyBytes()
    #expect(try log.take().isEmpty)
    try memory.discard(at: (1 << 32) + 1, count: 3 << 12)
    #expect(try pages(log.take()) == [4, 5])
    try log.stop()
    #expect(!log.isOn)
  }

  @Test func rangesAreAsLongAsCanBe() {
    var pages = DirtyPages(of: 300)
    for page in [0, 1, 5, 62, 63, 64, 65, 127, 299] { pages.insert(page) }
    #expect(pages.ranges == [0..<2, 5..<6, 62..<66, 127..<128, 299..<300])
    #expect(pages.count == 9 && pages.contains(299) && !pages.contains(300) && !pages.contains(2))
    var whole = DirtyPages(of: 129)
    for page in 0..<129 { whole.insert(page) }
    #expect(whole.ranges == [0..<129])
    var union = DirtyPages(of: 300)
    union.insert(7)
    union.formUnion(pages)
    #expect(union.count == 10 && union.contains(7))
  }

  /// What each set names is copied while two devices write; in the end the copy is the memory.
  @Test func nothingIsLostWhileDevicesWrite() throws {
    let memory = memory
    try log.start()
    let mirror = Mirror(of: memory)
    let running = Running(2)
    let threads = try (0..<2).map { number in
      try Thread.start(name: "device") {
        var random = UInt64(number + 1)
        for _ in 0..<200_000 {
          random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          let place = (1 << 32) + (random >> 33) % ((70 << 12) - 8)
          if let slice = try? memory.slice(at: place, count: 8) { slice.store(random, at: 0) }
        }
        running.count.subtract(1, ordering: .sequentiallyConsistent)
      }
    }
    var sets = 0
    while running.count.load(ordering: .sequentiallyConsistent) > 0 {
      mirror.copy(try log.take())
      sets += 1
    }
    for thread in threads { thread.join() }
    mirror.copy(try log.take())
    #expect(sets > 1 && mirror.differences.isEmpty)
  }

  private final class Running: Sendable {
    let count: Atomic<Int>
    init(_ count: Int) { self.count = Atomic(count) }
  }

  /// A copy of memory that is kept by what the log says.
  private final class Mirror {
    private let memory: GuestMemory
    private var bytes: [UInt8] = []

    init(of memory: GuestMemory) {
      self.memory = memory
      for page in 0..<memory.size / GuestMemory.pageSize { bytes += read(page) }
    }

    private func read(_ page: Int) -> [UInt8] {
      let address = memory.address(ofPage: page)
      return (try? memory.slice(at: address, count: GuestMemory.pageSize).copyBytes()) ?? []
    }

    func copy(_ pages: DirtyPages) {
      for page in pages.ranges.joined() {
        bytes.replaceSubrange(
          page << GuestMemory.pageShift..<(page + 1) << GuestMemory.pageShift, with: read(page))
      }
    }

    /// Pages that are not what they are in memory.
    var differences: [Int] {
      (0..<memory.size / GuestMemory.pageSize).filter {
        !read($0).elementsEqual(bytes[$0 << GuestMemory.pageShift..<($0 + 1) << GuestMemory.pageShift])
      }
    }
  }
}
