import DiskImages
import Glibc
import HostSystem
import Testing

/// Every image against a plain array of bytes.
@Suite struct ModelTests {
  enum Kind: CaseIterable {
    case raw, rawWithoutHoles, overlay, overlayOfLargeClusters, overlayWithoutBase, overlayWithoutHoles
    case ephemeral, overlayOnOverlay
  }

  /// A disk under test, how to open it again, and what it holds at first.
  struct Subject {
    var disk: any DiskImage
    var contents: [UInt8]
    var reopen: () throws -> any DiskImage
    /// The base's bytes must be these at the end.
    var base: (disk: any DiskImage, contents: [UInt8])?
  }

  static func subject(_ kind: Kind, using generator: inout Xorshift) throws -> Subject {
    let baseSize = 512 * UInt64.random(in: 100...700, using: &generator)
    let size = baseSize + 512 * UInt64.random(in: 0...300, using: &generator)
    let contents = (0..<Int(baseSize)).map { _ in UInt8.random(in: 1...255, using: &generator) }
    func readOnlyDisk() throws -> any DiskImage {
      let descriptor = try DiskImages.temporaryFile(in: "/tmp")
      try contents.withUnsafeBytes { try descriptor.writeAll($0) }
      return try DiskImages.open(format: .raw, descriptor: descriptor, name: "base", readOnly: true)
    }
    let grown = contents + [UInt8](repeating: 0, count: Int(size - baseSize))
    func overlay(on base: (any DiskImage)?, clusterShift: UInt32?, file: any ImageFile) throws -> Subject {
      try OverlayImage.create(file, base: base, size: size, clusterShift: clusterShift)
      return Subject(
        disk: try OverlayImage(file, base: base),
        contents: base == nil ? [UInt8](repeating: 0, count: Int(size)) : grown,
        reopen: { try OverlayImage(file, base: base) }, base: base.map { ($0, contents) })
    }
    let file = try HostFile(DiskImages.temporaryFile(in: "/tmp"), name: "overlay", readOnly: false)
    switch kind {
    case .raw, .rawWithoutHoles:
      let file: any ImageFile = kind == .raw ? file : TestFile(canDeallocate: false)
      try file.resize(to: size)
      return Subject(
        disk: try RawImage(file), contents: [UInt8](repeating: 0, count: Int(size)),
        reopen: { try RawImage(file) })
    case .overlay: return try overlay(on: readOnlyDisk(), clusterShift: nil, file: file)
    case .overlayOfLargeClusters: return try overlay(on: readOnlyDisk(), clusterShift: 16, file: file)
    case .overlayWithoutBase: return try overlay(on: nil, clusterShift: 14, file: file)
    case .overlayWithoutHoles:
      return try overlay(on: readOnlyDisk(), clusterShift: nil, file: TestFile(canDeallocate: false))
    case .ephemeral:
      let base = try readOnlyDisk()
      let disk = try DiskImages.ephemeralOverlay(
        descriptor: DiskImages.temporaryFile(in: "/tmp"), name: "ephemeral", base: base, size: size)
      return Subject(disk: disk, contents: grown, reopen: { disk }, base: (base, contents))
    case .overlayOnOverlay:
      let path = temporaryPath("\(generator.next())")
      defer { unlink(path) }
      let base = try readOnlyDisk()
      try DiskImages.createOverlay(
        descriptor: .open(path, O_RDWR | O_CREAT), name: path, base: base, size: baseSize)
      let middle = try DiskImages.open(
        format: .overlay, descriptor: .open(path, O_RDONLY), name: path, readOnly: true, base: base)
      return try overlay(on: middle, clusterShift: 13, file: file)
    }
  }

  @Test(arguments: Kind.allCases, 1...3)
  func `random operations`(kind: Kind, seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    var subject = try Self.subject(kind, using: &generator)
    var model = subject.contents
    #expect(subject.disk.size == UInt64(model.count))
    let discardZeroes = kind != .rawWithoutHoles
    for step in 0..<1500 {
      let disk = subject.disk
      // Sectors mostly, as guests do; any bytes at times, since nothing forbids it.
      let grain = generator.next() % 4 == 0 ? 1 : 512
      let longest = [4, 40, 400].randomElement(using: &generator)! * 512
      let start = Int.random(in: 0..<model.count / grain, using: &generator) * grain
      let count = Int.random(in: 0...min(longest, model.count - start) / grain, using: &generator) * grain
      switch generator.next() % 10 {
      case 0...3:
        let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: count)
        try disk.write(bytes, at: UInt64(start))
        model.replaceSubrange(start..<start + count, with: bytes)
      case 4:
        guard discardZeroes else { continue }
        try disk.discard(at: UInt64(start), count: UInt64(count))
        model.replaceSubrange(start..<start + count, with: repeatElement(0, count: count))
      case 5, 6:
        try disk.writeZeroes(at: UInt64(start), count: UInt64(count), mayUnmap: generator.next() % 2 == 0)
        model.replaceSubrange(start..<start + count, with: repeatElement(0, count: count))
      case 7 where generator.next() % 8 == 0:
        try disk.flush()
        subject.disk = try subject.reopen()
      default:
        try #require(disk.bytes(UInt64(start), count) == Array(model[start..<start + count]), "step \(step)")
      }
    }
    #expect(try subject.disk.bytes(0, model.count) == model)
    try subject.disk.flush()
    #expect(try subject.reopen().bytes(0, model.count) == model)
    if let base = subject.base { #expect(try base.disk.bytes(0, base.contents.count) == base.contents) }
  }

  @Test(arguments: [12, 16])
  func `writers of one cluster lose nothing`(clusterShift: UInt32) throws {
    let sectors = 2048
    let baseFile = TestFile()
    try baseFile.resize(to: UInt64(sectors) * 512)
    let base = try RawImage(ReadOnlyFile(baseFile))
    let file = try HostFile(DiskImages.temporaryFile(in: "/tmp"), name: "overlay", readOnly: false)
    try OverlayImage.create(file, base: base, size: base.size, clusterShift: clusterShift)
    let disk = try OverlayImage(file, base: base)
    let threads = try (0..<4).map { index in
      try Thread.start(name: "writer") {
        // Each thread writes every fourth sector, so all meet in every cluster.
        for sector in stride(from: index, to: sectors, by: 4) {
          try? disk.write([UInt8](repeating: UInt8(sector % 255 + 1), count: 512), at: UInt64(sector) * 512)
          if sector % 256 == 0 { try? disk.flush() }
        }
      }
    }
    for thread in threads { thread.join() }
    try disk.flush()
    for image in [disk, try OverlayImage(file, base: base)] {
      for sector in 0..<sectors {
        let expected = [UInt8](repeating: UInt8(sector % 255 + 1), count: 512)
        try #require(image.bytes(UInt64(sector) * 512, 512) == expected)
      }
    }
  }

  @Test func `a raw image's bytes are its file's`() throws {
    let path = temporaryPath("bytes")
    defer { unlink(path) }
    let descriptor = try Descriptor.open(path, O_RDWR | O_CREAT)
    try descriptor.truncate(to: 1 << 20)
    let disk = try DiskImages.open(format: .raw, descriptor: descriptor, name: path, readOnly: false)
    try disk.write([1, 2, 3, 4], at: 0x12345)
    try disk.write([UInt8](repeating: 9, count: 65536), at: 0x40000)
    try disk.writeZeroes(at: 0x48000, count: 0x1000, mayUnmap: false)
    try disk.flush()
    var status = stat()
    stat(path, &status)
    let allocated = status.st_blocks
    let other = try Descriptor.open(path, O_RDONLY)
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    #expect(try bytes.withUnsafeMutableBytes { try other.read(into: $0) } == 1 << 20)
    #expect(bytes[0x12345...0x12348] == [1, 2, 3, 4])
    #expect(bytes[0x47FFF] == 9 && bytes[0x48000] == 0 && bytes[0x48FFF] == 0 && bytes[0x49000] == 9)
    try disk.discard(at: 0x40000, count: 0x10000)
    stat(path, &status)
    #expect(status.st_blocks < allocated, "a discard gives space back")
  }

  @Test func `a raw image's holes are zero`() throws {
    let path = temporaryPath("holes")
    defer { unlink(path) }
    let descriptor = try Descriptor.open(path, O_RDWR | O_CREAT)
    try descriptor.truncate(to: 1 << 20)
    let disk = try DiskImages.open(format: .raw, descriptor: descriptor, name: path, readOnly: false)
    #expect(try disk.extent(at: 0, limit: .max) == DiskExtent(.zero, end: 1 << 20))
    try disk.write([UInt8](repeating: 9, count: 65536), at: 0x40000)
    #expect(try disk.extent(at: 0x1000, limit: .max) == DiskExtent(.zero, end: 0x40000))
    #expect(try disk.extent(at: 0x41000, limit: .max) == DiskExtent(.data, end: 0x50000))
    #expect(try disk.extent(at: 0x41000, limit: 0x42000) == DiskExtent(.data, end: 0x42000))
    #expect(try disk.extent(at: 0x50000, limit: .max) == DiskExtent(.zero, end: 1 << 20))
    #expect(throws: Errno.invalid) { try disk.extent(at: 1 << 20, limit: .max) }
    // A file that does not know of holes has data alone.
    let file = TestFile()
    try file.resize(to: 4096)
    #expect(try RawImage(file).extent(at: 512, limit: .max) == DiskExtent(.data, end: 4096))
  }

  @Test func `ranges outside and changes of read-only disks are refused`() throws {
    let file = TestFile()
    try file.resize(to: 4096)
    let disk = try RawImage(file)
    #expect(throws: Errno.invalid) { try disk.bytes(4096, 1) }
    #expect(throws: Errno.invalid) { try disk.bytes(.max, 512) }
    #expect(throws: Errno.invalid) { try disk.write([1], at: 4096) }
    #expect(throws: Errno.invalid) { try disk.discard(at: 512, count: .max) }
    #expect(throws: Errno.invalid) { try disk.writeZeroes(at: .max - 511, count: 512, mayUnmap: true) }
    #expect(try disk.bytes(4096, 0) == [])
    let readOnly = try RawImage(ReadOnlyFile(file))
    #expect(throws: Errno(EROFS)) { try readOnly.write([1], at: 0) }
    #expect(throws: Errno(EROFS)) { try readOnly.discard(at: 0, count: 512) }
    #expect(throws: Errno(EROFS)) { try readOnly.writeZeroes(at: 0, count: 512, mayUnmap: true) }
  }
}

/// A file that says it is read-only.
final class ReadOnlyFile: ImageFile {
  private let file: any ImageFile
  init(_ file: any ImageFile) { self.file = file }
  var name: String { file.name }
  var isReadOnly: Bool { true }
  func size() throws(Errno) -> UInt64 { try file.size() }
  func resize(to size: UInt64) throws(Errno) { throw Errno(EROFS) }
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try file.read(at: offset, into: buffer)
  }
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) { throw Errno(EROFS) }
  func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw Errno(EROFS) }
  func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw Errno(EROFS) }
  func sync() throws(Errno) {}
}
