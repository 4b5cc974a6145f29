import DiskImages
import Foundation
import Glibc
import HostSystem
import Testing

/// What is written here is read by QEMU, and by what reads it here.
@Suite struct ExportTests {
  struct Kind: CustomTestStringConvertible {
    let format: DiskFormat
    let name: String
    var isFixed = false
    var isChecked = false
    var testDescription: String { isFixed ? "\(name) fixed" : name }

    func writer(_ file: any ImageFile, size: UInt64) throws -> any ImageWriter {
      var options = DiskImages.WriterOptions()
      options.isFixed = isFixed
      options.identity = (0..<48).map { UInt8($0 + 1) }
      return try DiskImages.writer(format: format, file: file, size: size, options: options)
    }
  }

  static let kinds = [
    Kind(format: .raw, name: "raw"), Kind(format: .vmdk, name: "vmdk", isChecked: true),
    Kind(format: .vdi, name: "vdi", isChecked: true), Kind(format: .vhd, name: "vpc"),
    Kind(format: .vhd, name: "vpc", isFixed: true), Kind(format: .vhdx, name: "vhdx", isChecked: true),
  ]

  static func file(_ path: String) throws -> HostFile {
    try HostFile(.open(path, O_RDWR | O_CREAT | O_TRUNC), name: path, readOnly: false)
  }

  @Test(.enabled(if: SampleImages.hasTool), arguments: kinds)
  func `what is written QEMU reads`(_ kind: Kind) throws {
    let samples = try SampleImages(size: kind.format == .raw ? 5 << 20 : nil)
    do {
      let writer = try kind.writer(Self.file(samples.path("image")), size: UInt64(samples.pattern.count))
      try DiskCopy.run(from: samples.open("raw", .raw), to: writer)
    }
    #expect(samples.tool("compare -f raw -F \(kind.name) raw image"))
    if kind.isChecked { #expect(samples.tool("check -f \(kind.name) image")) }
    let disk = try samples.open("image", kind.format)
    #expect(disk.size == samples.pattern.count)
    #expect(try disk.contents == samples.pattern)
    let contents = try samples.bytes("image")
    // The same again: byte for byte.
    let again = BytesFile()
    try DiskCopy.run(from: disk, to: kind.writer(again, size: disk.size))
    #expect(again.bytes == contents)
    // As a disk that is cut short in the middle of a block.
    let short = BytesFile()
    let head = Array(samples.pattern[..<(700 * 512)])
    try DiskCopy.run(from: SampleImages.open(head, .raw), to: kind.writer(short, size: UInt64(head.count)))
    #expect(try SampleImages.open(short.bytes, kind.format).contents == head)
  }

  @Test(.enabled(if: SampleImages.hasTool), arguments: kinds)
  func `large disks that hold little`(_ kind: Kind) throws {
    guard !kind.isFixed else { return }
    let samples = try SampleImages(size: 1 << 20)
    // Hyper-V's tables have entries of another kind each 4 GiB.
    let size: UInt64 = (kind.format == .vhdx ? 5 << 30 : 1 << 30) + 512
    let piece = Array(samples.pattern[..<65536])
    for (name, kind) in [("image", kind), ("same", Self.kinds[0])] {
      let writer = try kind.writer(Self.file(samples.path(name)), size: size)
      for place in [0, 900 << 20, size - 65536] {
        try piece.withUnsafeBytes { try writer.write(at: place, from: $0) }
      }
      try writer.finish()
    }
    if kind.isChecked { #expect(samples.tool("check -f \(kind.name) image")) }
    // Before it is locked here.
    #expect(samples.tool("compare -f raw -F \(kind.name) same image"))
    let disk = try samples.open("image", kind.format)
    #expect(disk.size == size)
    #expect(try disk.bytes(900 << 20, 65536) == piece)
    #expect(try disk.bytes(size - 65536, 65536) == piece)
    #expect(try disk.bytes(500 << 20, 65536).allSatisfy { $0 == 0 })
    #expect(try disk.dataBytes() <= 8 << 20)
    let stored = try Descriptor.open(samples.path("image"), O_RDONLY).storedBytes()
    #expect(stored < 16 << 20)
  }

  @Test func `only the next place is written`() throws {
    for kind in Self.kinds {
      let writer = try kind.writer(BytesFile(), size: 1 << 20)
      func write(_ offset: UInt64, _ count: Int) throws {
        try [UInt8](repeating: 1, count: count).withUnsafeBytes { try writer.write(at: offset, from: $0) }
      }
      try write(1024, 512)
      #expect(throws: Errno.invalid) { try write(512, 512) }
      #expect(throws: Errno.invalid) { try write(2048, 100) }
      #expect(throws: Errno.invalid) { try write(1 << 20, 512) }
      #expect(throws: DiskImageError.self) { try kind.writer(BytesFile(), size: 100) }
      #expect(throws: DiskImageError.self) { try kind.writer(BytesFile(), size: 0) }
    }
    #expect(throws: DiskImageError.self) {
      try DiskImages.writer(format: .vhd, file: BytesFile(), size: 3 << 40)
    }
    #expect(throws: DiskImageError.self) {
      try DiskImages.writer(format: .vmdk, file: BytesFile(), size: 3 << 40)
    }
  }

  @Test func `copies skip zeroes, tell how far they are, and can be ended`() throws {
    let pattern = SampleImages.pattern(size: 9 << 20, seed: 4)
    let source = try SampleImages.open(pattern, .raw)
    let target = TestFile(size: 9 << 20)
    var last: UInt64 = 0
    try DiskCopy.run(from: source, to: DiskImageWriter(RawImage(target), isEmpty: true)) { done, total in
      #expect(done > last && done <= total && total == 9 << 20)
      last = done
      return true
    }
    #expect(last == 9 << 20)
    #expect(try RawImage(target).contents == pattern)
    // A disk that held something else.
    let full = TestFile()
    let ones = [UInt8](repeating: 1, count: 9 << 20)
    try ones.withUnsafeBytes { try full.write(at: 0, from: $0) }
    try DiskCopy.run(from: source, to: DiskImageWriter(RawImage(full), isEmpty: false))
    #expect(try RawImage(full).contents == pattern)
    #expect(throws: DiskCopy.Failure.cancelled) {
      try DiskCopy.run(from: source, to: DiskImageWriter(RawImage(target), isEmpty: true)) { done, _ in
        done < 3 << 20
      }
    }
    #expect(throws: DiskCopy.Failure.writing(.invalid)) {
      try DiskCopy.run(from: source, to: DiskImageWriter(RawImage(TestFile(size: 512)), isEmpty: true))
    }
    let small = TestFile(size: 9 << 20)
    small.setSpace(sectors: 100)
    #expect(throws: DiskCopy.Failure.writing(.noSpace)) {
      try DiskCopy.run(from: source, to: DiskImageWriter(RawImage(small), isEmpty: true))
    }
    #expect(throws: DiskCopy.Failure.reading(.io)) {
      try DiskCopy.run(
        from: FailingDisk(size: 9 << 20, from: 5 << 20), to: DiskImageWriter(RawImage(target), isEmpty: true))
    }
  }

  @Test func `holes of a file are not read`() throws {
    let path = temporaryPath("holes")
    defer { unlink(path) }
    let file = try Self.file(path)
    try file.resize(to: 1 << 40)
    try [UInt8](repeating: 7, count: 4096).withUnsafeBytes { try file.write(at: 1 << 39, from: $0) }
    let disk = try RawImage(file)
    #expect(try disk.extent(at: 0, limit: disk.size) == DiskExtent(.zero, end: 1 << 39))
    #expect(try disk.extent(at: 1 << 39, limit: disk.size) == DiskExtent(.data, end: 1 << 39 + 4096))
    #expect(try disk.extent(at: 1 << 39 + 8192, limit: disk.size) == DiskExtent(.zero, end: 1 << 40))
    let copy = BytesFile()
    try DiskCopy.run(from: disk, to: DiskImages.writer(format: .vmdk, file: copy, size: disk.size))
    #expect(try SampleImages.open(copy.bytes, .vmdk).bytes(1 << 39, 4096).allSatisfy { $0 == 7 })
  }
}

/// A disk of sevens that cannot be read from some place on.
private final class FailingDisk: DiskImage {
  let size: UInt64
  let isReadOnly = true
  let end: UInt64

  init(size: UInt64, from end: UInt64) {
    self.size = size
    self.end = end
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard offset + UInt64(buffer.count) <= end else { throw .io }
    buffer.initializeMemory(as: UInt8.self, repeating: 7)
  }
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) { throw .io }
  func flush() throws(Errno) {}
  func discard(at offset: UInt64, count: UInt64) throws(Errno) { throw .io }
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) { throw .io }
}
