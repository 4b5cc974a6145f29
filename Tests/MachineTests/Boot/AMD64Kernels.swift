import Foundation
import Testing

/// Debian's kernels for amd64, and the ELF files in them as the host's own programs unpack them.
enum AMD64Kernels {
  struct Kernel: Sendable {
    let path: String
    /// The unpacked kernel.
    let elf: Data
    /// Segments as readelf tells them: offset, address, bytes in the file, bytes in memory.
    let segments: [(offset: Int, address: UInt64, size: Int, memorySize: Int)]
    /// The PVH entry and the 64-bit entry, as readelf tells them.
    let physicalEntry: UInt64?
    let entry: UInt64
  }

  static let debian12 = Result { try load("12", magic: "02214c18", unpack: "lz4 -dc") }
  static let debian13 = Result { try load("13", magic: "28b52ffd", unpack: "zstd -dcq") }

  static func kernel(_ release: String) -> Result<Kernel, any Error> { release == "12" ? debian12 : debian13 }

  /// The releases that are to be had here. For another a line tells why not.
  static let releases: [String] = ["12", "13"].filter { release in
    do {
      _ = try kernel(release).get()
      return true
    } catch {
      print("Tests with the amd64 kernel of Debian \(release) are left out: \(error)")
      return false
    }
  }

  private static func load(_ release: String, magic: String, unpack: String) throws -> Kernel {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = try HostTool.text("exec \"$1\" \"$2\"", ["\(root.path)/Nested/debian.py", release])
    let path = try HostTool.text("ls \"$1\"/boot/vmlinuz-*", [folder])
    // As the kernel's scripts/extract-vmlinux does: from the first place with the magic number at which what comes
    // out is an ELF file. Programs complain of what is behind the stream.
    let image = try Data(contentsOf: URL(fileURLWithPath: path))
    let bytes = stride(from: 0, to: magic.count, by: 2).map { index -> UInt8 in
      let start = magic.index(magic.startIndex, offsetBy: index)
      return UInt8(magic[start..<magic.index(start, offsetBy: 2)], radix: 16)!
    }
    var from = image.startIndex
    while let found = image.range(of: Data(bytes), in: from..<image.endIndex) {
      let output = TemporaryFile()
      _ = try HostTool.shell(
        "tail -c +\(found.lowerBound + 1) \"$1\" | \(unpack) > \"$2\" 2>/dev/null; true", [path, output.path])
      let elf = try output.content
      if elf.starts(with: [0x7F, 0x45, 0x4C, 0x46]) { return try describe(path, elf, output.path) }
      from = found.upperBound
    }
    throw HostTool.Failure(description: "no vmlinux can be found in \(path)")
  }

  private static func describe(_ path: String, _ elf: Data, _ file: String) throws -> Kernel {
    func number(_ text: Substring) -> UInt64? { UInt64(text.dropFirst(2), radix: 16) }
    let headers = try HostTool.text("readelf -lhW \"$1\"", [file]).split(separator: "\n").map {
      $0.split(separator: " ")
    }
    let segments = headers.filter { $0.first == "LOAD" }.compactMap { words in
      number(words[1]).map {
        (
          offset: Int($0), address: number(words[3])!, size: Int(number(words[4])!),
          memorySize: Int(number(words[5])!)
        )
      }
    }
    let entry = headers.first { $0.starts(with: ["Entry", "point"]) }.flatMap { number($0[3]) }
    // "Xen  0x00000008  Unknown note type: (0x00000012)  description data: 80 4c 00 03 00 00 00 00"
    let note = try HostTool.text("readelf -nW \"$1\"", [file]).split(separator: "\n")
      .first { $0.contains("(0x00000012)") }?
      .split(separator: ":").last?.split(separator: " ").compactMap { UInt64($0, radix: 16) }
    return Kernel(
      path: path, elf: elf, segments: segments,
      physicalEntry: note?.reversed().reduce(0) { $0 << 8 | $1 }, entry: try #require(entry))
  }
}
