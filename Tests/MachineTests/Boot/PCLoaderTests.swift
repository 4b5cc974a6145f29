import Foundation
import GuestMemory
import HostSystem
import KVM
import Machine
import Testing

/// What the loader makes of kernels that were made for it.
@Suite(.timeLimit(.minutes(30))) struct PCLoaderTests {
  /// Each segment has its bytes and zeroes behind them, and the RAM around them is empty.
  private func check(_ kernel: SampleKernel, in loaded: LoadedMemory, isDirty: Bool) throws {
    for segment in kernel.segments {
      #expect(try loaded.holds(segment.content, at: segment.address))
      let end = segment.address + UInt64(segment.content.count)
      #expect(try loaded.firstNonzero(end..<segment.address + UInt64(segment.memorySize)) == nil)
    }
    guard !isDirty else { return }
    var free = PCMap.extendedMemory
    for segment in kernel.segments {
      #expect(try loaded.firstNonzero(free..<segment.address) == nil)
      free = segment.address + UInt64(segment.memorySize)
    }
    #expect(try loaded.firstNonzero(free..<free + (16 << 20)) == nil)
  }

  @Test(arguments: SampleKernel.compressors.keys.sorted() + ["nothing"], [false, true])
  func segmentsAreInTheirPlaces(compression: String, isDirty: Bool) throws {
    // More than two blocks of LZ4.
    let kernel = SampleKernel.likeLinux(megabytes: 18)
    let elf = kernel.elf
    let file =
      compression == "nothing"
      ? elf : SampleKernel.bzImage(payload: try SampleKernel.compress(elf, with: compression))
    let loaded = try LoadedMemory(file, isDirty: isDirty)
    try check(kernel, in: loaded, isDirty: isDirty)
    #expect(loaded.layout.entry == .pvh(address: 0x100_0040, startInfo: 0x6000))
    #expect(loaded.layout.kernel == 0x100_0000..<0x103_8000 + (21 << 20))
  }

  /// Files whose distances are not those of memory: what is moved, and what is unpacked elsewhere.
  @Test(arguments: ["gzip", "xz", "zstd", "LZ4", "nothing"])
  func segmentsInOtherPlaces(compression: String) throws {
    var random = SampleRandom(state: 5)
    func segment(_ offset: Int, _ address: UInt64, _ size: Int, _ memorySize: Int) -> SampleKernel.Segment {
      .init(offset: offset, address: address, content: random.text(size), memorySize: memorySize)
    }
    let kernels = [
      // The biggest would have the file begin below 1 MiB.
      SampleKernel(entry: 0x10_0000, segments: [segment(0x1000, 0x10_0000, 300_000, 400_000)]),
      // In the file in the other order than in memory; one fits, two are moved to where the file lay.
      SampleKernel(
        entry: 0x20_0000,
        segments: [
          segment(0x20_0000, 0x20_0000, 5000, 5001), segment(0x1000, 0x20_2000, 4097, 9000),
          segment(0x2_1234, 0x23_1234, 1_000_000, 1_000_000),
        ], tail: 10_000),
      // At the end of RAM, so that what is behind the segment in the file has no room in place.
      SampleKernel(
        entry: 0x3F0_0000, segments: [segment(0x10_0000, 0x3F0_0000, 1 << 20, 1 << 20)], tail: 100_000),
    ]
    for kernel in kernels {
      let elf = kernel.elf
      let file =
        compression == "nothing"
        ? elf : SampleKernel.bzImage(payload: try SampleKernel.compress(elf, with: compression))
      let loaded = try LoadedMemory(file, size: 64 << 20)
      for segment in kernel.segments {
        #expect(try loaded.holds(segment.content, at: segment.address))
        let end = segment.address + UInt64(segment.content.count)
        #expect(try loaded.firstNonzero(end..<segment.address + UInt64(segment.memorySize)) == nil)
      }
      guard case .linux64(let address, 0x7000, let tables) = loaded.layout.entry else {
        Issue.record("no 64-bit entry: \(loaded.layout.entry)")
        return
      }
      #expect(address == kernel.entry && tables.address == 0x9000)
    }
  }

  // MARK: - The initial RAM disk

  @Test func initrdsAreJoinedAtTheEnd() throws {
    var random = SampleRandom(state: 9)
    let parts = [random.text(10_001), random.text(3), [], random.text(4096)]
    let kernel = SampleKernel.likeLinux(megabytes: 1).elf
    let loaded = try LoadedMemory(kernel, initrd: parts, size: 64 << 20, isDirty: true)
    let joined = parts[0] + [0, 0, 0] + parts[1] + [0] + parts[3]
    let initrd = try #require(loaded.layout.initrd)
    #expect(initrd.count == joined.count && initrd.lowerBound % 4096 == 0)
    #expect(initrd.upperBound <= 64 << 20 && initrd.upperBound > (64 << 20) - 4096)
    #expect(try loaded.bytes(initrd.lowerBound, joined.count) == joined)
  }

  @Test func initrdStaysBelowItsLimit() throws {
    var header = SampleKernel.Header()
    header.initrdAddressMax = 0x2FF_FFFF
    let payload = try SampleKernel.compress(SampleKernel.likeLinux(megabytes: 1).elf, with: "LZ4")
    let file = SampleKernel.bzImage(payload: payload, header: header)
    let loaded = try LoadedMemory(file, initrd: [[UInt8](repeating: 7, count: 5000)])
    #expect(try #require(loaded.layout.initrd).upperBound <= 0x300_0000)
    // The whole of a machine beyond the hole: below 2 GiB, as the header says.
    let big = try LoadedMemory(
      SampleKernel.bzImage(payload: payload), initrd: [[UInt8](repeating: 7, count: 5000)], size: 5 << 30)
    #expect(try #require(big.layout.initrd).lowerBound == 0x8000_0000 - 8192)
  }

  // MARK: - What the kernel is told

  @Test func startInfoIsXens() throws {
    let kernel = SampleKernel.likeLinux(megabytes: 1).elf
    let loaded = try LoadedMemory(
      SampleKernel.descriptor(kernel), initrd: [SampleKernel.descriptor([1, 2, 3, 4, 5])],
      commandLine: "console=ttyS0 quiet", size: 5 << 30, isDirty: false)
    // xen/include/public/arch-x86/hvm/start_info.h, the table at its beginning.
    let info: UInt64 = 0x6000
    #expect(try loaded.load(UInt32.self, info) == 0x336E_C578)
    #expect(try loaded.load(UInt32.self, info + 4) == 1)
    #expect(try loaded.load(UInt32.self, info + 8) == 0)
    #expect(try loaded.load(UInt32.self, info + 12) == 1)
    let modules = try loaded.load(UInt64.self, info + 16)
    let line = try loaded.load(UInt64.self, info + 24)
    #expect(try loaded.load(UInt64.self, info + 32) == 0xA0000)
    let map = try loaded.load(UInt64.self, info + 40)
    let count = try loaded.load(UInt32.self, info + 48)
    #expect(try loaded.bytes(line, 20) == Array("console=ttyS0 quiet\0".utf8))
    let initrd = try #require(loaded.layout.initrd)
    #expect(try loaded.load(UInt64.self, modules) == initrd.lowerBound)
    #expect(try loaded.load(UInt64.self, modules + 8) == 5)
    #expect(try loaded.bytes(initrd.lowerBound, 5) == [1, 2, 3, 4, 5])
    let read = try (0..<UInt64(count)).map { index in
      [
        try loaded.load(UInt64.self, map + 24 * index), try loaded.load(UInt64.self, map + 24 * index + 8),
        try loaded.load(UInt64.self, map + 24 * index + 16),
      ]
    }
    #expect(
      read == [
        [0, 0xA_0000, 1], [0xA_0000, 0x6_0000, 2], [0x10_0000, 0xBFF0_0000, 1],
        [0xE800_0000, 0x1000_0000, 2], [0x1_0000_0000, 0x8000_0000, 1],
      ])
  }

  /// The places of the zero page's fields, as the host's kernel headers have them.
  @Test(.enabled(if: BootParametersLayout.shared != nil, "the kernel's headers or a compiler are missing"))
  func zeroPageIsLinuxs() throws {
    let layout = try #require(BootParametersLayout.shared)
    var kernel = SampleKernel.likeLinux(megabytes: 1)
    kernel.physicalEntry = nil
    let payload = try SampleKernel.compress(kernel.elf, with: "gzip")
    let image = SampleKernel.bzImage(payload: payload)
    for file in [image, kernel.elf] {
      let loaded = try LoadedMemory(
        SampleKernel.descriptor(file), initrd: [SampleKernel.descriptor([1, 2, 3, 4, 5])],
        commandLine: "quiet", size: 5 << 30, isDirty: false)
      guard case .linux64(0x100_0000, 0x7000, _) = loaded.layout.entry else {
        Issue.record("entered at \(loaded.layout.entry)")
        continue
      }
      func field(_ name: String) throws -> UInt64 {
        let (offset, size) = try #require(layout.fields[name])
        return try loaded.bytes(0x7000 + UInt64(offset), size).reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
      let initrd = try #require(loaded.layout.initrd)
      #expect(try field("acpi_rsdp_addr") == 0xA0000)
      #expect(try field("sentinel") == 0)
      #expect(try field("hdr.boot_flag") == 0xAA55)
      #expect(try field("hdr.header") == 0x5372_6448)
      #expect(try field("hdr.version") == 0x20F)
      #expect(try field("hdr.type_of_loader") == 0xFF)
      #expect(try field("hdr.loadflags") & 1 == 1)
      #expect(try field("hdr.cmd_line_ptr") == 0x20000)
      #expect(try field("ext_cmd_line_ptr") == 0)
      #expect(try field("hdr.ramdisk_image") == initrd.lowerBound)
      #expect(try field("hdr.ramdisk_size") == 5)
      #expect(try field("ext_ramdisk_image") == 0)
      #expect(try field("e820_entries") == 5)
      let (first, second) = (
        try #require(layout.fields["e820_table"]), try #require(layout.fields["e820_table[1]"])
      )
      #expect(second.offset == first.offset + 20 && second.size == 20)
      let table = UInt64(0x7000 + first.offset)
      #expect(try loaded.load(UInt64.self, table + 20) == 0xA_0000)
      #expect(try loaded.load(UInt64.self, table + 28) == 0x6_0000)
      #expect(try loaded.load(UInt32.self, table + 36) == 2)
      #expect(try loaded.load(UInt64.self, table + 40) == 0x10_0000)
      if file == image {
        // The header of the file, as it was.
        #expect(try field("hdr.pref_address") == 0x100_0000)
        #expect(try field("hdr.initrd_addr_max") == 0x7FFF_FFFF)
        #expect(try field("hdr.setup_sects") == 27)
      }
    }
  }

  /// SETUP_RNG_SEED (arch/x86/include/uapi/asm/setup_data.h), for which the 64-bit entry is taken; nothing of it is left
  /// when the memory is loaded anew.
  @Test(.enabled(if: BootParametersLayout.shared != nil, "the kernel's headers or a compiler are missing"))
  func seedIsHandedOver() throws {
    let field = try #require(BootParametersLayout.shared?.fields["hdr.setup_data"])
    let kernel = SampleKernel.likeLinux(megabytes: 1)
    let image = SampleKernel.bzImage(payload: try SampleKernel.compress(kernel.elf, with: "gzip"))
    let seed = (1...32).map { UInt8($0) }
    let loaded = try LoadedMemory(SampleKernel.descriptor(image), entropySeed: seed)
    guard case .linux64(0x100_0000, 0x7000, let tables) = loaded.layout.entry else {
      Issue.record("entered at \(loaded.layout.entry)")
      return
    }
    #expect(field.size == 8)
    let place = try loaded.load(UInt64.self, 0x7000 + UInt64(field.offset))
    #expect(place + 16 + 32 <= tables.address && place >= 0x8000)
    #expect(try loaded.load(UInt64.self, place) == 0)
    #expect(try loaded.load(UInt32.self, place + 8) == 9)
    #expect(try loaded.load(UInt32.self, place + 12) == 32)
    #expect(try loaded.bytes(place + 16, 32) == seed)
    _ = try PCLoader.load(
      kernel: SampleKernel.descriptor(kernel.elf), initrd: [], commandLine: "", memory: loaded.memory,
      map: loaded.ram.map)
    #expect(try loaded.firstNonzero(place..<place + 48) == nil)

    // A kernel that may not find ACPI's tables from its 64-bit entry, or does not say, is entered as without a seed.
    var header = SampleKernel.Header()
    header.version = 0x20D
    let old = SampleKernel.bzImage(
      payload: try SampleKernel.compress(kernel.elf, with: "gzip"), header: header)
    for file in [old, kernel.elf] {
      let loaded = try LoadedMemory(SampleKernel.descriptor(file), entropySeed: seed)
      #expect(loaded.layout.entry == .pvh(address: 0x100_0040, startInfo: 0x6000))
      #expect(try loaded.firstNonzero(0x8000..<0x9000) == nil)
    }
  }
}
