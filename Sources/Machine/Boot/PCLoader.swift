package import GuestMemory
package import HostSystem
package import KVM

/// Puts an amd64 Linux kernel, its initial RAM disk and what it is told at its entry in the memory of a `pc` board.
///
/// The kernel is taken out of its `bzImage` here and entered in the middle of it, so that no guest code has to unpack
/// it: at its PVH entry, or where it has none at its 64-bit entry.
///
/// A seed for its random numbers can be handed over at the 64-bit entry alone. With one, kernels that say that they are
/// recent enough to find ACPI's tables from there are entered there, even if they have both.
package struct PCLoader: Sendable {
  /// Where things were put, in guest-physical addresses, and how the first CPU starts.
  package struct Layout: Equatable, Sendable {
    package var kernel: Range<UInt64>
    package var initrd: Range<UInt64>?
    package var entry: KVMProcessor.Entry
  }

  /// What a kernel takes of whose limits its file says nothing: COMMAND_LINE_SIZE and the address that Linux names in
  /// its own headers.
  private static let usualCommandLineLimit = 2047
  private static let usualInitrdAddressMax: UInt64 = 0x7FFF_FFFF
  /// The boot protocol of Linux 5.5. Kernels are told where ACPI's tables are since 5.0, which has no number of its own.
  private static let protocolWithRootPointer: UInt16 = 0x20F

  /// Loads the kernel, the initrd files one behind the other, and the command line.
  ///
  /// - Parameters:
  ///   - kernel: a `bzImage`, or the `vmlinux` ELF file that is in one.
  ///   - memory: RAM with the regions of ``PCMap/ram(size:)``.
  ///   - map: what the guest is told of its addresses: that function's too.
  ///   - rootPointer: where ACPI's root pointer is.
  ///   - entropySeed: random bytes for the kernel.
  package static func load(
    kernel: Descriptor, initrd: [Descriptor], commandLine: String, memory: GuestMemory,
    map: [MemoryMapEntry], rootPointer: UInt64 = PCMap.rootPointer, entropySeed: [UInt8] = []
  ) throws(BootError) -> Layout {
    let file = try BootFile(kernel, name: "the kernel")
    let start = try file.start(BzImage.startSize)
    let header = ELFKernel.isOne(start) ? nil : try BzImage(start: start, fileSize: file.size)
    let limit = min(header?.commandLineLimit ?? usualCommandLineLimit, PCMap.commandLineRoom - 1)
    guard commandLine.utf8.count <= limit else {
      throw .commandLineTooLong(bytes: commandLine.utf8.count, limit: limit)
    }
    let placed: KernelPlacement
    if let header {
      placed = try KernelPlacement(try CompressedPayload(file, range: header.payload), into: memory)
    } else {
      placed = try KernelPlacement(file, into: memory)
    }
    let initrd = try load(
      initrd, behind: placed.elf.memory.upperBound,
      below: (header?.initrdAddressMax ?? usualInitrdAddressMax) + 1, in: memory)
    guard placed.physicalEntry != nil || placed.elf.holds(placed.elf.entry) else {
      throw .damagedKernel("its entry 0x\(String(placed.elf.entry, radix: 16)) is not in it")
    }
    do throws(GuestMemoryError) {
      let line = Array(commandLine.utf8) + [0]
      let place = try memory.slice(at: PCMap.commandLine, count: line.count)
      line.withUnsafeBytes { place.copy(from: $0) }
      // A seed is for one start: nothing of an earlier one is left.
      let room = try memory.slice(at: PCMap.setupData, count: GuestMemory.pageSize)
      room.clear()
      let takesSeed =
        !entropySeed.isEmpty && placed.elf.holds(placed.elf.entry)
        && header.map { $0.version >= protocolWithRootPointer } ?? false
      let entry: KVMProcessor.Entry
      if let address = placed.physicalEntry, !takesSeed {
        let info = PVHStartInfo(
          commandLine: PCMap.commandLine, rootPointer: rootPointer, initrd: initrd, map: map)
        info.write(to: try memory.slice(at: PCMap.startInfo, count: GuestMemory.pageSize))
        entry = .pvh(address: address, startInfo: UInt32(PCMap.startInfo))
      } else {
        if !entropySeed.isEmpty { SetupData.write(entropySeed: entropySeed, to: room) }
        let page = ZeroPage(
          setupHeader: header?.setupHeader, commandLine: PCMap.commandLine, rootPointer: rootPointer,
          setupData: entropySeed.isEmpty ? 0 : PCMap.setupData, initrd: initrd, map: map)
        page.write(to: try memory.slice(at: PCMap.zeroPage, count: GuestMemory.pageSize))
        let tables = try BootTables(in: memory, at: PCMap.bootTables)
        entry = .linux64(
          address: placed.elf.entry, bootParameters: PCMap.zeroPage, tables: tables)
      }
      return Layout(kernel: placed.elf.memory, initrd: initrd, entry: entry)
    } catch {
      throw .kernelDoesNotFit(needed: placed.elf.memory.upperBound, memory: UInt64(memory.size))
    }
  }

  /// Puts the files at the end of the RAM below `limit`, each at a multiple of four bytes as the kernel expects of
  /// joined archives, and returns where they are.
  private static func load(
    _ files: [Descriptor], behind kernelEnd: UInt64, below limit: UInt64, in memory: GuestMemory
  ) throws(BootError) -> Range<UInt64>? {
    guard !files.isEmpty else { return nil }
    var parts: [(file: BootFile, offset: UInt64)] = []
    var total: UInt64 = 0
    for descriptor in files {
      let file = try BootFile(descriptor, name: "the initrd")
      let offset = (total + 3) & ~3
      parts.append((file, offset))
      total = offset &+ UInt64(max(0, file.size))
      guard total <= limit else {
        throw .initrdDoesNotFit(needed: kernelEnd &+ total, memory: UInt64(memory.size))
      }
    }
    let end = min(memory.regions.first { $0.base == 0 }.map { UInt64($0.size) } ?? 0, limit)
    let mask = UInt64(GuestMemory.pageSize - 1)
    guard total <= end, (end - total) & ~mask >= kernelEnd else {
      throw .initrdDoesNotFit(needed: kernelEnd &+ total, memory: UInt64(memory.size))
    }
    let base = (end - total) & ~mask
    for (index, part) in parts.enumerated() {
      // The last bytes before the next part may hold what an earlier guest left.
      let next = index + 1 < parts.count ? parts[index + 1].offset : total
      guard let slice = try? memory.slice(at: base + part.offset, count: Int(next - part.offset)) else {
        throw .initrdDoesNotFit(needed: kernelEnd &+ total, memory: UInt64(memory.size))
      }
      try slice.part(0..<part.file.size).withMutableBytes { (target) throws(BootError) in
        try part.file.read(from: 0, into: target)
      }
      slice.part(part.file.size..<slice.count).clear()
    }
    return base..<base + total
  }
}
