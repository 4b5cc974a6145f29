import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

import VolaryHost

/// Archives that tar wrote are read, and those that are not what they should be are refused.
@Suite struct TarTests {
  static func file(_ bytes: [UInt8]) throws -> HostFile {
    let descriptor = try Descriptor.memory(name: "test")
    try bytes.withUnsafeBytes { try descriptor.writeAll($0) }
    return try HostFile(descriptor, name: "x.ova", readOnly: true)
  }

  static func archive(_ bytes: [UInt8]) throws -> TarArchive { try TarArchive(file(bytes)) }

  @Test(arguments: ["ustar", "gnu", "pax", "v7"]) func `what tar writes`(_ format: String) throws {
    let folder = try TemporaryFolder()
    let long = String(repeating: "n", count: format == "gnu" || format == "pax" ? 200 : 90) + ".vmdk"
    let files = [("a.ovf", 1000), ("a.mf", 0), (long, 70_000)]
    for (name, size) in files {
      try Data((0..<size).map { UInt8(truncatingIfNeeded: $0 / 3) }).write(
        to: folder.url.appendingPathComponent(name))
    }
    let bytes = [UInt8](try run("tar", ["-c", "--format", format] + files.map(\.0), in: folder.url))
    let archive = try Self.archive(bytes)
    #expect(archive.members.map(\.name) == files.map(\.0))
    for (member, file) in zip(archive.members, files) {
      #expect(
        try member.file.contents(most: 1 << 20) == (0..<file.1).map { UInt8(truncatingIfNeeded: $0 / 3) })
    }
    // Cut anywhere, it is refused. The end is two blocks, of which one will do.
    let end = bytes.count - bytes.reversed().prefix { $0 == 0 }.count
    for count in stride(from: 0, to: end, by: 512) {
      #expect(throws: ImageError.self) { try Self.archive(Array(bytes[..<count])) }
    }
  }

  @Test func `names that lead elsewhere, and what is no file`() throws {
    func archive(_ name: String, _ change: (inout [UInt8]) -> Void = { _ in }) throws -> TarArchive {
      var header = TarHeader(name: name, size: 3, time: 0)
      change(&header.bytes)
      // The sum again, as six octal digits.
      header.bytes.replaceSubrange(148..<156, with: repeatElement(0x20, count: 8))
      let digits = String(header.bytes.reduce(0) { $0 + Int($1) }, radix: 8)
      header.bytes.replaceSubrange(
        148..<154, with: (String(repeating: "0", count: 6 - digits.count) + digits).utf8)
      header.bytes[154] = 0
      return try Self.archive(
        header.bytes + [1, 2, 3] + [UInt8](repeating: 0, count: 509 + 1024))
    }
    #expect(try archive("a.ovf").members.map(\.name) == ["a.ovf"])
    for name in ["../a", "/etc/passwd", "a/b", "..", ".", "", "a\u{1b}[31m", "a\nb"] {
      #expect(throws: ImageError.self) { try archive(name) }
    }
    for type in "123456" {
      #expect(throws: ImageError.self) { try archive("a") { $0[156] = type.asciiValue ?? 0 } }
    }
    #expect(throws: ImageError.self) { try archive("a") { $0[124] = UInt8(ascii: "9") } }
    #expect(throws: ImageError.self) { try archive("a") { $0[124] = UInt8(ascii: "7") } }
    #expect(throws: ImageError.self, "a prefix is a folder") {
      try archive("a") { $0.replaceSubrange(345..<347, with: "xx".utf8) }
    }
    var spoilt = TarHeader(name: "a", size: 0, time: 0).bytes
    spoilt[0] ^= 1
    #expect(throws: ImageError.self) { try Self.archive(spoilt + [UInt8](repeating: 0, count: 1024)) }
    let twice = TarHeader(name: "a", size: 0, time: 0).bytes
    #expect(throws: ImageError.self) { try Self.archive(twice + twice + [UInt8](repeating: 0, count: 1024)) }
    #expect(TarHeader(name: "a", size: 1 << 40, time: 0).size == 1 << 40)
  }
}
