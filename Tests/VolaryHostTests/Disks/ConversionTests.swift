import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

import VolaryHost

/// Files that a person names, in and out.
@Suite struct ConversionTests {
  static func names(_ folder: TemporaryFolder) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
  }

  /// Opens what was just written. Another test's child may have it open still, with its lock, until it becomes a
  /// program of its own.
  static func open(_ path: String, format: DiskFormat? = nil) throws -> DiskSource {
    for _ in 0..<6000 {
      do { return try DiskSource(path, format: format) } catch {
        guard error.code == .conflict else { throw error }
        usleep(10_000)
      }
    }
    return try DiskSource(path, format: format)
  }

  @Test func `every format to every other`() throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    var disk = [UInt8](repeating: 0, count: 2 << 20)
    for index in 100_000..<300_000 { disk[index] = UInt8(truncatingIfNeeded: index / 3) }
    try Data(disk).write(to: URL(fileURLWithPath: path("raw")))
    for first in DiskImages.writableFormats {
      try DiskConversion(to: first).run(DiskSource(path("raw"), format: .raw), to: path("first"))
      let source = try Self.open(path("first"))
      #expect(source.format == first && source.isTold)
      for second in DiskImages.writableFormats {
        try DiskConversion(to: second).run(source, to: path("second"))
        try DiskConversion(to: .raw).run(Self.open(path("second"), format: second), to: path("back"))
        #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: path("back")))) == disk)
        for name in ["second", "back"] { unlink(path(name)) }
      }
      unlink(path("first"))
    }
    #expect(try Self.names(folder) == ["raw"])
  }

  @Test func `what is refused leaves nothing`() throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    try Data(count: 1 << 20).write(to: URL(fileURLWithPath: path("raw")))
    try Data("mine".utf8).write(to: URL(fileURLWithPath: path("there")))
    symlink("there", path("link"))
    let source = try DiskSource(path("raw"), format: .raw)
    for target in ["there", "link"] {
      #expect(throws: ImageError.self) { try DiskConversion(to: .raw).run(source, to: path(target)) }
    }
    var conversion = DiskConversion(to: .vdi)
    conversion.isCompressed = true
    #expect(throws: ImageError.self) { try conversion.run(source, to: path("new")) }
    conversion.isCompressed = false
    #expect(throws: ImageError.self) { try conversion.run(source, to: path("nowhere/new")) }
    // A source that ends in the middle.
    try conversion.run(source, to: path("vdi"))
    #expect(try Self.names(folder) == ["link", "raw", "there", "vdi"])
    conversion.replaces = true
    #expect(throws: ImageError.self, "a link is no file") { try conversion.run(source, to: path("link")) }
    try conversion.run(source, to: path("there"))
    #expect(try Self.open(path("there")).format == .vdi)
    var vhd = [UInt8](repeating: 5, count: 1 << 20)
    vhd.replaceSubrange(0..<4, with: "KDMV".utf8)
    try Data(vhd).write(to: URL(fileURLWithPath: path("odd")))
    #expect(throws: ImageError.self) { try DiskSource(path("odd")) }
    #expect(try DiskSource(path("odd"), format: .raw).disk.size == 1 << 20)
    #expect(throws: ImageError.self) { try DiskSource(path("nothing")) }
    #expect(throws: ImageError.self) { try DiskSource(folder.url.path) }
    #expect(throws: ImageError.self) { try DiskSource("/dev/zero") }
    #expect(try Self.names(folder) == ["link", "odd", "raw", "there", "vdi"])
  }

  @Test func `a read that fails in the middle leaves nothing`() throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    try Data([UInt8](repeating: 3, count: 4 << 20)).write(to: URL(fileURLWithPath: path("raw")))
    try DiskConversion(to: .vdi).run(DiskSource(path("raw"), format: .raw), to: path("vdi"))
    truncate(path("vdi"), 3 << 20)
    let error = #expect(throws: ImageError.self) {
      try DiskConversion(to: .raw).run(Self.open(path("vdi")), to: path("new"))
    }
    #expect(error?.description.contains("damaged") == true)
    #expect(try Self.names(folder) == ["raw", "vdi"])
  }

  @Test func information() throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    try Data([UInt8](repeating: 3, count: 1 << 20)).write(to: URL(fileURLWithPath: path("raw")))
    try DiskConversion(to: .vhdx).run(DiskSource(path("raw"), format: .raw), to: path("x"))
    _ = try Self.open(path("x"))
    let layers = try DiskInformation.layers(of: path("x"), format: nil, backing: nil)
    #expect(layers.count == 1 && layers[0].format == "vhdx" && layers[0].size == 1 << 20)
    #expect(layers[0].dataSize == 1 << 20 && layers[0].backing == nil)
    if hasProgram("qemu-img") {
      _ = try run("qemu-img", ["create", "-q", "-f", "vmdk", "base.vmdk", "1M"], in: folder.url)
      _ = try run(
        "qemu-img", ["create", "-q", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", "top"], in: folder.url)
      let top = try DiskInformation.layers(of: path("top"), format: nil, backing: nil)
      #expect(top[0].backing == "'base.vmdk'" && top[0].size == nil)
    }
  }
}
