import Foundation
import HostSystem

/// Kernels for the loader that were made for a test: ELF files of a few segments, and a `bzImage` around one.
struct SampleKernel {
  struct Segment {
    var offset: Int
    var address: UInt64
    var content: [UInt8]
    var memorySize: Int
  }

  var entry: UInt64 = 0x100_0000
  var segments: [Segment]
  /// What stands behind the last segment: symbols, relocations.
  var tail = 0
  /// The PVH entry, in a note of a pointer's size.
  var physicalEntry: UInt64?
  var machine: UInt16 = 62

  /// Segments at the distances that they have in the file, as in Linux, but for one.
  static func likeLinux(megabytes: Int, seed: UInt64 = 1) -> SampleKernel {
    var random = SampleRandom(state: seed)
    let size = megabytes << 20
    return SampleKernel(
      segments: [
        Segment(offset: 0x20_0000, address: 0x100_0000, content: random.text(size), memorySize: size),
        Segment(
          offset: 0x20_0000 + size, address: 0x100_0000 + UInt64(size), content: random.text(70_001),
          memorySize: 0x2_0000),
        // The data of each CPU, which Linux puts elsewhere.
        Segment(
          offset: 0x22_0000 + size, address: 0x103_0000 + UInt64(size), content: random.text(5003),
          memorySize: 0x8000),
        Segment(
          offset: 0x23_8000 + size, address: 0x103_8000 + UInt64(size), content: random.text(100),
          memorySize: 3 << 20),
      ],
      tail: 300_000, physicalEntry: 0x100_0040)
  }

  // MARK: - The ELF file

  var elf: [UInt8] {
    let headers = segments.count + (physicalEntry == nil ? 0 : 1)
    let noteOffset = 64 + 56 * headers
    let size = (segments.map { $0.offset + $0.content.count }.max() ?? 0) + tail
    var file = [UInt8](repeating: 0x5A, count: max(size, noteOffset + 24))
    func put(_ value: UInt64, _ bytes: Int, at offset: Int) {
      for index in 0..<bytes { file[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    file.replaceSubrange(0..<64, with: [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 57))
    put(2, 2, at: 16)
    put(UInt64(machine), 2, at: 18)
    put(1, 4, at: 20)
    put(entry, 8, at: 24)
    put(64, 8, at: 32)
    put(64, 2, at: 52)
    put(56, 2, at: 54)
    put(UInt64(headers), 2, at: 56)
    func header(_ type: UInt64, offset: Int, address: UInt64, size: Int, memorySize: Int, at place: Int) {
      for index in 0..<56 { file[place + index] = 0 }
      put(type, 4, at: place)
      put(UInt64(offset), 8, at: place + 8)
      put(address &+ 0xFFFF_FFFF_8000_0000, 8, at: place + 16)
      put(address, 8, at: place + 24)
      put(UInt64(size), 8, at: place + 32)
      put(UInt64(memorySize), 8, at: place + 40)
      put(4, 8, at: place + 48)
    }
    for (index, segment) in segments.enumerated() {
      header(
        1, offset: segment.offset, address: segment.address, size: segment.content.count,
        memorySize: segment.memorySize, at: 64 + 56 * index)
      file.replaceSubrange(segment.offset..<segment.offset + segment.content.count, with: segment.content)
    }
    if let physicalEntry {
      header(4, offset: noteOffset, address: 0, size: 24, memorySize: 24, at: noteOffset - 56)
      put(4, 4, at: noteOffset)
      put(8, 4, at: noteOffset + 4)
      put(18, 4, at: noteOffset + 8)
      file.replaceSubrange(noteOffset + 12..<noteOffset + 16, with: Array("Xen\0".utf8))
      put(physicalEntry, 8, at: noteOffset + 16)
    }
    return file
  }

  // MARK: - The bzImage

  /// What can be wrong with a setup header.
  struct Header {
    var version: UInt64 = 0x20F
    var loadFlags: UInt64 = 1
    var loadFlags64: UInt64 = 0x7F
    var commandLineSize: UInt64 = 2047
    var initrdAddressMax: UInt64 = 0x7FFF_FFFF
  }

  static func bzImage(payload: [UInt8], header: Header = Header()) -> [UInt8] {
    let sectors = 27
    let payloadOffset = 0x2A7
    var file = [UInt8](repeating: 0, count: 512 * (sectors + 1) + payloadOffset)
    func put(_ value: UInt64, _ bytes: Int, at offset: Int) {
      for index in 0..<bytes { file[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    put(0x5A4D, 2, at: 0)
    put(UInt64(sectors), 1, at: 0x1F1)
    put(0xAA55, 2, at: 0x1FE)
    put(0x6AEB, 2, at: 0x200)
    put(0x5372_6448, 4, at: 0x202)
    put(header.version, 2, at: 0x206)
    put(header.loadFlags, 1, at: 0x211)
    put(header.initrdAddressMax, 4, at: 0x22C)
    put(header.loadFlags64, 2, at: 0x236)
    put(header.commandLineSize, 4, at: 0x238)
    put(UInt64(payloadOffset), 4, at: 0x248)
    put(UInt64(payload.count), 4, at: 0x24C)
    put(0x100_0000, 8, at: 0x258)
    put(0x200_0000, 4, at: 0x260)
    return file + payload + [UInt8](repeating: 0, count: 700)
  }

  /// The commands that Linux's build makes a payload with (scripts/Makefile.lib), to read standard input, but for the
  /// effort that they make.
  static let compressors = [
    "gzip": "gzip -n -c -3", "xz": "xz --check=crc32 --x86 --lzma2=preset=1,dict=32MiB --stdout",
    "zstd": "zstd -q -c -3 --long=27", "LZ4": "lz4 -l -3 -z -c",
  ]

  /// The payload of a `bzImage`: compressed by the host's own program, with the size behind it.
  static func compress(_ bytes: [UInt8], with name: String) throws -> [UInt8] {
    guard let command = compressors[name] else { return bytes }
    let input = TemporaryFile(Data(bytes))
    let output = try HostTool.shell(command + " < \"$1\"", [input.path])
    let size = (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) }
    return Array(output) + (name == "gzip" ? [] : size)
  }

  static func descriptor(_ bytes: [UInt8]) throws -> Descriptor {
    let file = try Descriptor.memory(name: "test-kernel")
    try bytes.withUnsafeBytes { try file.writeAll($0) }
    return file
  }
}

/// Bytes that are different in each place and can be compressed.
struct SampleRandom {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 33
  }

  mutating func text(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 64)
    while bytes.count < count {
      let word = next()
      if word & 3 == 0, bytes.count > 64 {
        // Something from before: calls among it, which the x86 filter changes.
        let from = Int(next()) % (bytes.count - 64)
        bytes += Array(bytes[from..<from + 48])
      } else {
        bytes += [0xE8] + (0..<7).map { UInt8(truncatingIfNeeded: word >> UInt64(4 * $0)) }
      }
    }
    return Array(bytes.prefix(count))
  }
}
