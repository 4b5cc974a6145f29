import DiskImages
import Glibc
import HostSystem
import Testing

/// Files that cannot be opened: one clear error each.
@Suite struct OpeningTests {
  static func base(_ byte: UInt8 = 7, size: Int = 8192) throws -> any DiskImage {
    let descriptor = try Descriptor.memory(name: "base")
    try [UInt8](repeating: byte, count: size).withUnsafeBytes { try descriptor.writeAll($0) }
    return try DiskImages.open(format: .raw, descriptor: descriptor, name: "base", readOnly: true)
  }

  static func overlay(on base: (any DiskImage)?, size: UInt64? = nil) throws -> Descriptor {
    let descriptor = try Descriptor.memory(name: "overlay")
    try DiskImages.createOverlay(descriptor: descriptor, name: "overlay", base: base, size: size)
    return descriptor
  }

  static func open(_ descriptor: Descriptor, base: (any DiskImage)?) throws -> any DiskImage {
    try DiskImages.open(
      format: .overlay, descriptor: descriptor, name: "overlay", readOnly: false, base: base)
  }

  static func write(_ bytes: [UInt8], to descriptor: Descriptor, at offset: Int) {
    #expect(pwrite(descriptor.raw, bytes, bytes.count, offset) == bytes.count)
  }

  @Test func `one writer or many readers`() throws {
    let path = temporaryPath("lock")
    defer { unlink(path) }
    try Descriptor.open(path, O_RDWR | O_CREAT).truncate(to: 4096)
    func open(readOnly: Bool) throws -> any DiskImage {
      try DiskImages.open(
        format: .raw, descriptor: .open(path, O_RDWR), name: path, readOnly: readOnly)
    }
    do {
      let writer = try open(readOnly: false)
      #expect(throws: DiskImageError.inUse(name: path, readOnly: false)) { try open(readOnly: false) }
      #expect(throws: DiskImageError.inUse(name: path, readOnly: true)) { try open(readOnly: true) }
      try writer.flush()
    }
    let readers = [try open(readOnly: true), try open(readOnly: true)]
    #expect(throws: DiskImageError.inUse(name: path, readOnly: false)) { try open(readOnly: false) }
    #expect(readers.count == 2)
  }

  @Test func `the lock is seen by other programs`() throws {
    let path = temporaryPath("foreign")
    defer { unlink(path) }
    let descriptor = try Descriptor.open(path, O_RDWR | O_CREAT)
    try descriptor.truncate(to: 4096)
    let disk = try DiskImages.open(format: .raw, descriptor: descriptor, name: path, readOnly: false)
    // As QEMU does: a byte's lock of another open file description.
    let other = try Descriptor.open(path, O_RDWR)
    var one = flock(l_type: Int16(F_RDLCK), l_whence: Int16(SEEK_SET), l_start: 100, l_len: 1, l_pid: 0)
    #expect(fcntl(other.raw, 37 /* F_OFD_SETLK */, &one) == -1 && errno == EAGAIN)
    try disk.flush()
  }

  @Test func `sizes that are no multiple of a sector`() throws {
    let descriptor = try Descriptor.memory(name: "odd")
    try [UInt8](repeating: 5, count: 1000).withUnsafeBytes { try descriptor.writeAll($0) }
    #expect(throws: DiskImageError.partialSector(name: "odd", size: 1000)) {
      try DiskImages.open(format: .raw, descriptor: descriptor, name: "odd", readOnly: false)
    }
    let copy = Descriptor(owning: dup(descriptor.raw))
    let disk = try DiskImages.open(format: .raw, descriptor: copy, name: "odd", readOnly: true)
    #expect(disk.size == 1024)
    #expect(
      try disk.bytes(512, 512) == [UInt8](repeating: 5, count: 488) + [UInt8](repeating: 0, count: 24))
  }

  @Test func `things that are not images`() throws {
    func openRaw(_ descriptor: Descriptor) throws {
      _ = try DiskImages.open(format: .raw, descriptor: descriptor, name: "x", readOnly: false)
    }
    #expect(throws: DiskImageError.notAFile(name: "x")) { try openRaw(.open("/dev/null", O_RDWR)) }
    #expect(throws: DiskImageError.notAFile(name: "x")) { try openRaw(.open("/tmp", O_RDONLY)) }
    #expect(throws: DiskImageError.empty(name: "x")) { try openRaw(.memory(name: "x")) }
    #expect(throws: DiskImageError.notOpenForWriting(name: "x")) {
      try openRaw(.open("/proc/self/exe", O_RDONLY))
    }
    #expect(throws: DiskImageError.rawHasNoBase(name: "x")) {
      try DiskImages.open(
        format: .raw, descriptor: .memory(name: "x"), name: "x", readOnly: false, base: Self.base())
    }
    #expect(throws: DiskImageError.system(name: "/nowhere", operation: "make a temporary file in", .notFound))
    {
      try DiskImages.temporaryFile(in: "/nowhere")
    }
  }

  @Test func `damaged overlays`() throws {
    let base = try Self.base()
    func expect(_ error: DiskImageError, _ damage: (Descriptor) throws -> Void) throws {
      let descriptor = try Self.overlay(on: base)
      try damage(descriptor)
      #expect(throws: error) { try Self.open(descriptor, base: base) }
      #expect(error.description.contains("overlay") && error.description.contains(":"))
    }
    try expect(.notAnOverlay(name: "overlay", looksLike: nil)) { Self.write([0], to: $0, at: 0) }
    try expect(.notAnOverlay(name: "overlay", looksLike: nil)) { try $0.truncate(to: 0) }
    try expect(.notAnOverlay(name: "overlay", looksLike: nil)) { try $0.truncate(to: 511) }
    try expect(.notAnOverlay(name: "overlay", looksLike: "qcow2")) {
      Self.write([0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3], to: $0, at: 0)
    }
    try expect(.unknownVersion(name: "overlay", version: 2)) { Self.write([2], to: $0, at: 8) }
    for offset in [12, 16, 30, 100, 511] {
      try expect(.damagedHeader(name: "overlay", reason: "wrong checksum")) {
        Self.write([0xEE], to: $0, at: offset)
      }
    }
    try expect(.truncated(name: "overlay", size: 1 << 20, expected: (16 << 20) + 8192)) {
      try $0.truncate(to: 1 << 20)
    }
    try expect(.damagedBitmap(name: "overlay")) { Self.write([1 << 2], to: $0, at: 1 << 20) }
  }

  @Test func `bases`() throws {
    let base = try Self.base()
    let descriptor = try Self.overlay(on: base)
    _ = try Self.open(descriptor, base: base)
    #expect(throws: DiskImageError.baseMissing(name: "overlay")) { try Self.open(descriptor, base: nil) }
    #expect(throws: DiskImageError.wrongBase(name: "overlay", reason: "its contents differ")) {
      try Self.open(descriptor, base: Self.base(8))
    }
    #expect(throws: DiskImageError.wrongBase(name: "overlay", reason: "of 8192 bytes, not 4096")) {
      try Self.open(descriptor, base: Self.base(size: 4096))
    }
    let memory = try Descriptor.memory(name: "base")
    try memory.truncate(to: 8192)
    let writable = try DiskImages.open(format: .raw, descriptor: memory, name: "base", readOnly: false)
    #expect(throws: DiskImageError.baseWritable(name: "overlay")) {
      try Self.open(descriptor, base: writable)
    }
    #expect(throws: DiskImageError.baseWritable(name: "overlay")) { try Self.overlay(on: writable) }
    let blank = try Self.overlay(on: nil, size: 4096)
    #expect(throws: DiskImageError.baseNotWanted(name: "overlay")) { try Self.open(blank, base: base) }
    #expect(try Self.open(blank, base: nil).bytes(0, 4096) == [UInt8](repeating: 0, count: 4096))
  }

  @Test func `sizes of overlays`() throws {
    let base = try Self.base()
    for size: UInt64 in [0, 512, 8193, 241 << 40, .max - 511] {
      let error = #expect(throws: DiskImageError.self) { try Self.overlay(on: base, size: size) }
      guard case .badSize = error else {
        Issue.record("\(size): \(String(describing: error))")
        continue
      }
    }
    let overlay = try Self.overlay(on: base, size: 1 << 40)
    let disk = try Self.open(overlay, base: base)
    #expect(disk.size == 1 << 40)
    try disk.write([1, 2, 3], at: 1 << 40 - 3)
    try disk.flush()
    #expect(try Self.open(overlay, base: base).bytes(1 << 40 - 4, 4) == [0, 1, 2, 3])
    let small = try Self.overlay(on: base)
    try DiskImages.growOverlay(descriptor: small, name: "overlay", to: 1 << 30)
    #expect(try Self.open(small, base: base).size == 1 << 30)
    #expect(throws: DiskImageError.self) {
      try DiskImages.growOverlay(descriptor: small, name: "overlay", to: 4096)
    }
  }

  @Test func `random headers are refused or read, never trusted`() throws {
    var generator = Xorshift(seed: 11)
    let sound = OverlayHeader(clusterShift: 12, size: 8192, baseSize: 4096, baseFingerprint: 3)
    #expect(try OverlayHeader(decoding: sound.encoded(), name: "x") == sound)
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = sound.encoded()
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let value = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)]
        bytes[Int.random(in: 12..<40, using: &generator)] = value.randomElement(using: &generator)!
      }
      // A checksum that is right, so that the fields behind it are looked at.
      var checksum = Fingerprint()
      bytes[..<504].withUnsafeBytes { checksum.add($0) }
      for index in 0..<8 {
        bytes[504 + index] = UInt8(truncatingIfNeeded: checksum.value >> UInt64(index * 8))
      }
      if generator.next() % 16 == 0 { bytes.removeLast(Int.random(in: 0...512, using: &generator)) }
      let file = TestFile()
      try bytes.withUnsafeBytes { try file.write(at: 0, from: $0) }
      try file.resize(to: generator.next() % 2 == 0 ? 17 << 20 : UInt64(bytes.count))
      if (try? OverlayImage(file, base: nil)) != nil { accepted += 1 }
    }
    #expect(accepted > 0)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...600, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      #expect(throws: DiskImageError.self) { try OverlayHeader(decoding: bytes, name: "x") }
    }
  }
}
