import CLZ4
import CLZMA
import CZlib
import CZstandard
import GuestMemory
import HostSystem
import KVM
import Machine

/// amd64 kernels: headers, ELF files, notes, and each way of compressing one.
extension FuzzTarget {
  static let kernels =
    [FuzzTarget("bzimage", bzImage), FuzzTarget("elf-kernel", elfKernel), FuzzTarget("xen-note", xenNote)]
    + Packing.allCases.map { packing in
      FuzzTarget("kernel-\(packing)") { (random) in try packedKernel(packing, &random) }
    }

  /// How a kernel is packed: as it is, or as Linux's build would.
  enum Packing: CaseIterable {
    case plain, gzip, xz, zstd, lz4
  }

  // MARK: - Headers

  private static func bzImage(_ random: inout FuzzRandom) throws {
    var start = Array(setup(payload: random.below(1 << 16), &random).prefix(BzImage.startSize))
    start += random.bytes(random.below(64))
    if random.once(in: 2) { random.mutate(&start) }
    let size = random.once(in: 2) ? 1 << 20 : Int(truncatingIfNeeded: random.number() >> 1)
    let image = try BzImage(start: start, fileSize: size)
    precondition(image.payload.upperBound <= size && image.setupHeader.count <= 0x202 + 255 - 0x1F1)
  }

  private static func elfKernel(_ random: inout FuzzRandom) throws {
    var elf = sampleELF(&random)
    random.mutate(&elf)
    let size = random.once(in: 2) ? elf.count : Int(truncatingIfNeeded: random.number() >> 1)
    let kernel = try ELFKernel(start: Array(elf.prefix(ELFKernel.startSize)), fileSize: size)
    for segment in kernel.segments {
      precondition(segment.file.upperBound <= size && UInt64(segment.file.count) <= segment.memory.upperBound)
      precondition(segment.memory.lowerBound >= kernel.memory.lowerBound)
      precondition(segment.memory.upperBound <= kernel.memory.upperBound)
    }
  }

  private static func xenNote(_ random: inout FuzzRandom) throws {
    var notes: [UInt8] = []
    for _ in 0..<random.below(6) {
      notes += note(type: UInt32(random.pick([1, 3, 18, 18])), words: random.below(4))
    }
    random.mutate(&notes)
    _ = XenNote.entry(in: notes, alignment: random.pick([4, 8]))
  }

  // MARK: - Whole kernels

  /// A file that may be damaged before it is packed, after, or in its header, into a machine of 16 MiB.
  private static func packedKernel(_ packing: Packing, _ random: inout FuzzRandom) throws {
    var elf = sampleELF(&random)
    if random.once(in: 3) { random.mutate(&elf) }
    var file = packing == .plain ? elf : pack(elf, packing)
    if !random.once(in: 3) { random.mutate(&file) }
    if packing != .plain {
      if packing != .gzip { file += number(UInt64(elf.count), 4) }
      if random.once(in: 6) {
        file.replaceSubrange(max(0, file.count - 4)..., with: number(random.number(), 4))
      }
      file = setup(payload: file.count, &random) + file
    }
    let descriptor = try Descriptor.memory(name: "fuzz")
    try file.withUnsafeBytes { try descriptor.writeAll($0) }
    let initrds = try (0..<random.below(3)).map { _ in
      let file = try Descriptor.memory(name: "fuzz")
      try file.truncate(to: Int64(random.once(in: 3) ? random.number() >> 34 : random.number() & 0xFFFF))
      return file
    }
    let ram = PCMap.ram(size: 16 << 20)
    let memory = try GuestMemory(regions: ram.regions)
    let layout = try PCLoader.load(
      kernel: descriptor, initrd: initrds, commandLine: "quiet", memory: memory, map: ram.map)
    precondition(layout.kernel.lowerBound >= PCMap.extendedMemory && layout.kernel.upperBound <= memory.end)
    if let initrd = layout.initrd {
      precondition(initrd.lowerBound >= layout.kernel.upperBound && initrd.upperBound <= memory.end)
    }
    switch layout.entry {
    case .pvh(let address, _): precondition(layout.kernel.contains(UInt64(address)))
    case .linux64(let address, _, _): precondition(layout.kernel.contains(address))
    case .powerOn: preconditionFailure("a kernel has an entry")
    }
  }

  /// A setup of two sectors, whose payload begins a little behind it, with fields of chance.
  private static func setup(payload: Int, _ random: inout FuzzRandom) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 512 * 3 + 64)
    func set(_ value: UInt64, _ size: Int, at offset: Int) {
      bytes.replaceSubrange(offset..<offset + size, with: number(value, size))
    }
    set(2, 1, at: 0x1F1)
    set(0xAA55, 2, at: 0x1FE)
    set(0x6AEB, 2, at: 0x200)
    set(0x5372_6448, 4, at: 0x202)
    set(random.once(in: 20) ? random.number() : 0x20F, 2, at: 0x206)
    set(1, 1, at: 0x211)
    set(random.once(in: 4) ? random.number() : 0x7FFF_FFFF, 4, at: 0x22C)
    set(random.once(in: 20) ? random.number() : 0x7F, 2, at: 0x236)
    set(random.once(in: 20) ? random.number() : 2047, 4, at: 0x238)
    set(random.once(in: 20) ? random.number() : 64, 4, at: 0x248)
    set(random.once(in: 10) ? random.number() : UInt64(payload), 4, at: 0x24C)
    set(random.number(), 8, at: 0x258)
    return bytes
  }

  /// An ELF file of a few segments between 1 and 3 MiB, notes among them.
  private static func sampleELF(_ random: inout FuzzRandom) -> [UInt8] {
    let count = 1 + random.below(4)
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 57)
    file.replaceSubrange(16..<24, with: number(2 | 62 << 16 | 1 << 32, 8))
    file.replaceSubrange(24..<32, with: number(0x10_0000 + UInt64(random.below(9000)), 8))
    file.replaceSubrange(32..<40, with: number(64, 8))
    file.replaceSubrange(54..<58, with: number(56 | UInt64(count + 1) << 16, 4))
    let notes = note(type: 18, words: random.pick([1, 2])) + note(type: 3, words: random.below(4))
    var offset = 64 + 56 * (count + 1)
    var headers = header(
      type: 4, offset: offset, address: 0, size: notes.count, memorySize: UInt64(notes.count))
    var content = notes
    offset += notes.count
    // Mostly at the distances that they have in memory.
    var address = UInt64(0x10_0000 + offset)
    for _ in 0..<count {
      let size = random.below(random.once(in: 8) ? 200_000 : 3000)
      let memorySize = random.once(in: 10) ? random.number() : UInt64(size + random.below(4000))
      if random.once(in: 3) { address &+= UInt64(random.below(1 << 19)) }
      if random.once(in: 12) { address = random.number() }
      headers += header(
        type: random.once(in: 20) ? 4 : 1, offset: offset, address: address, size: size,
        memorySize: memorySize)
      // Half of it can be compressed.
      content += random.bytes(size / 2) + [UInt8](repeating: 0x90, count: size - size / 2)
      let gap = random.once(in: 2) ? random.below(5000) : Int(min(memorySize &- UInt64(size), 4000))
      content += [UInt8](repeating: 0x5A, count: gap)
      offset += size + gap
      address &+= UInt64(size + gap)
    }
    return file + headers + content
  }

  private static func header(
    type: UInt64, offset: Int, address: UInt64, size: Int, memorySize: UInt64
  ) -> [UInt8] {
    number(type, 8) + number(UInt64(offset), 8) + number(address, 8) + number(address, 8)
      + number(UInt64(size), 8) + number(memorySize, 8) + number(4, 8)
  }

  /// A note of Xen's whose content is the address 0x100400.
  private static func note(type: UInt32, words: Int) -> [UInt8] {
    let content = words == 0 ? [] : number(0x10_0400, 4) + [UInt8](repeating: 0, count: 4 * (words - 1))
    return number(4, 4) + number(UInt64(4 * words), 4) + number(UInt64(type), 4) + Array("Xen\0".utf8)
      + content
  }

  private static func number(_ value: UInt64, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }

  // MARK: - Compressors

  private static func pack(_ bytes: [UInt8], _ packing: Packing) -> [UInt8] {
    var target = [UInt8](repeating: 0, count: bytes.count + bytes.count / 8 + 4096)
    let count = bytes.withUnsafeBufferPointer { source in
      target.withUnsafeMutableBufferPointer { target in compress(source, into: target, packing) }
    }
    let packed = Array(target.prefix(count))
    return packing == .lz4 ? number(0x184C_2102, 4) + number(UInt64(count), 4) + packed : packed
  }

  private static func compress(
    _ source: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableBufferPointer<UInt8>, _ packing: Packing
  ) -> Int {
    guard let from = source.baseAddress, let to = target.baseAddress else { return 0 }
    switch packing {
    case .plain: return 0
    case .gzip:
      var stream = z_stream()
      let size = Int32(MemoryLayout<z_stream>.size)
      deflateInit2_(&stream, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
      stream.next_in = UnsafeMutablePointer(mutating: from)
      stream.avail_in = UInt32(source.count)
      stream.next_out = to
      stream.avail_out = UInt32(target.count)
      deflate(&stream, Z_FINISH)
      deflateEnd(&stream)
      return Int(stream.total_out)
    case .xz:
      // The x86 filter before LZMA2, as Linux has it.
      var options = lzma_options_lzma()
      _ = lzma_lzma_preset(&options, 0)
      return withUnsafeMutablePointer(to: &options) { options in
        var filters = [
          lzma_filter(id: 4 /* LZMA_FILTER_X86 */, options: nil),
          lzma_filter(id: 0x21 /* LZMA_FILTER_LZMA2 */, options: options),
          lzma_filter(id: .max /* LZMA_VLI_UNKNOWN */, options: nil),
        ]
        var count = 0
        _ = lzma_stream_buffer_encode(
          &filters, LZMA_CHECK_CRC32, nil, from, source.count, to, &count, target.count)
        return count
      }
    case .zstd: return ZSTD_compress(to, target.count, from, source.count, 1)
    case .lz4:
      return Int(
        LZ4_compress_default(
          UnsafeRawPointer(from).assumingMemoryBound(to: CChar.self),
          UnsafeMutableRawPointer(to).assumingMemoryBound(to: CChar.self), Int32(source.count),
          Int32(target.count)))
    }
  }
}
