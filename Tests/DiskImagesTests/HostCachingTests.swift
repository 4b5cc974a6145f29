import DiskImages
import Glibc
import HostSystem
import Synchronization
import Testing

/// Files that are taken past the host's memory, or without waiting for its disk.
@Suite struct HostCachingTests {
  /// A file on a disk, where /tmp is in memory as well.
  private final class Place {
    let path = "/var/tmp/volary-caching-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    deinit { unlink(path) }

    func open() throws -> Descriptor { try Descriptor.open(path, O_RDWR | O_CREAT) }
    func content() throws -> [UInt8] {
      let file = try Descriptor.open(path, O_RDONLY)
      var bytes = [UInt8](repeating: 0, count: Int(try file.size()))
      let count = bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
      #expect(count == bytes.count)
      return bytes
    }
  }

  /// Accesses of any place and length come to the same as in the host's memory.
  @Test func passingTheMemoryByChangesNothing() throws {
    let place = Place()
    let file = try HostFile(try place.open(), name: "direct", readOnly: false, caching: .direct)
    // Where the file system has no O_DIRECT, the usual way is taken, of which the same holds.
    var generator = Xorshift(seed: 7)
    var model: [UInt8] = []
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 300_016, alignment: 512)
    defer { room.deallocate() }
    for round in 0..<400 {
      let lengths = [1, 8, 511, 512, 513, 4096, 65536, 300_000]
      var count = lengths[Int(generator.next() % UInt64(lengths.count))]
      // Half of them at the start of a sector, at any address of memory.
      let any = Int(generator.next() % 600_000)
      let start = generator.next() % 2 == 0 ? any : any / 512 * 512
      let shift = Int(generator.next() % 9)
      if generator.next() % 2 == 0 {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ round) }
        let end = start + count
        if model.count < end { model += [UInt8](repeating: 0, count: end - model.count) }
        model.replaceSubrange(start..<end, with: bytes)
        let part = UnsafeMutableRawBufferPointer(rebasing: room[shift..<shift + count])
        part.copyBytes(from: bytes)
        try file.write(at: UInt64(start), from: UnsafeRawBufferPointer(part))
      } else if start < model.count {
        count = min(count, model.count - start)
        let part = UnsafeMutableRawBufferPointer(rebasing: room[shift..<shift + count])
        try file.read(at: UInt64(start), into: part)
        let isSame = Array(part) == Array(model[start..<start + count])
        #expect(isSame, "\(count) bytes at \(start)")
      }
    }
    try file.sync()
    let content = try place.content()
    let isSame = content.count - model.count < 512 && Array(content.prefix(model.count)) == model
    #expect(isSame)
    #expect(content.dropFirst(model.count).allSatisfy { $0 == 0 })
  }

  @Test func behindTheEndIsNothing() throws {
    let place = Place()
    let descriptor = try place.open()
    try descriptor.truncate(to: 1000)
    let file = try HostFile(descriptor, name: "direct", readOnly: false, caching: .direct)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 1001, alignment: 512)
    defer { room.deallocate() }
    #expect(throws: Errno.io) { try file.read(at: 0, into: room) }
    room.initializeMemory(as: UInt8.self, repeating: 1)
    try file.read(at: 1, into: UnsafeMutableRawBufferPointer(rebasing: room[..<999]))
    #expect(room[0] == 0 && room[998] == 0 && room[999] == 1)
  }

  @Test func qcow2PastTheMemory() throws {
    let place = Place()
    try QCOW2Image.create(
      file: try HostFile(try place.open(), name: "q", readOnly: false), size: 8 << 20)
    var model = [UInt8](repeating: 0, count: 8 << 20)
    do {
      let image = try DiskImages.open(
        format: .qcow2, descriptor: try place.open(), name: "q", readOnly: false, caching: .direct)
      var generator = Xorshift(seed: 11)
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 512 * 300, alignment: 512)
      defer { room.deallocate() }
      for round in 0..<200 {
        let start = Int(generator.next() % ((8 << 20) - 200_000)) / 512 * 512
        let count = 512 * (1 + Int(generator.next() % 300))
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ round) }
        model.replaceSubrange(start..<start + count, with: bytes)
        room.copyBytes(from: bytes)
        try image.write(at: UInt64(start), from: UnsafeRawBufferPointer(rebasing: room[..<count]))
        if round % 20 == 0 { try image.flush() }
      }
      try image.flush()
    }
    let image = try DiskImages.open(
      format: .qcow2, descriptor: try place.open(), name: "q", readOnly: true)
    let seen = UnsafeMutableRawBufferPointer.allocate(byteCount: model.count, alignment: 512)
    defer { seen.deallocate() }
    try image.read(at: 0, into: seen)
    let isSame = Array(seen) == model
    #expect(isSame)
  }

  /// Every flush of the guest's reaches the host's disk, but for disks of which that is not asked.
  @Test(arguments: [(HostCaching.usual, 3), (.direct, 3), (.unsynced, 0)])
  func syncsAreHonest(caching: HostCaching, expected: Int) throws {
    let place = Place()
    let descriptor = try place.open()
    try descriptor.truncate(to: 1 << 20)
    let count = Mutex(0)
    let file = try HostFile(
      descriptor, name: "counted", readOnly: false, caching: caching,
      synchronise: { _ in
        count.withLock { $0 += 1 }
        return 0
      })
    let image = try RawImage(file)
    let sector = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 512)
    defer { sector.deallocate() }
    sector.initializeMemory(as: UInt8.self, repeating: 9)
    for _ in 0..<3 {
      try image.write(at: 512, from: UnsafeRawBufferPointer(sector))
      try image.flush()
    }
    #expect(count.withLock { $0 } == expected)
  }

  /// What the host's disk lost once is never vouched for again.
  @Test func aSyncThatFailedFailsForEver() throws {
    let place = Place()
    let descriptor = try place.open()
    try descriptor.truncate(to: 1 << 20)
    let calls = Mutex(0)
    let file = try HostFile(
      descriptor, name: "failing", readOnly: false,
      synchronise: { _ in
        let call = calls.withLock { calls in
          calls += 1
          return calls
        }
        if call > 1 { return 0 }
        errno = EIO
        return -1
      })
    for _ in 0..<3 { #expect(throws: Errno.io) { try file.sync() } }
    #expect(calls.withLock { $0 } == 1)
  }
}
