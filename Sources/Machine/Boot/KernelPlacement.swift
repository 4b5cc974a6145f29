internal import GuestMemory
internal import HostSystem

/// A kernel that has been put in memory.
struct KernelPlacement {
  let elf: ELFKernel
  /// Its PVH entry, if it has one that lies in it.
  let physicalEntry: UInt32?

  // MARK: - From an ELF file

  /// Reads the segments of an ELF file to their places.
  init(_ file: BootFile, into memory: GuestMemory) throws(BootError) {
    let elf = try ELFKernel(start: try file.start(ELFKernel.startSize), fileSize: file.size)
    let slices = try Self.slices(of: elf, in: memory)
    for (segment, slice) in zip(elf.segments, slices) {
      try slice.part(0..<segment.file.count).withMutableBytes { (target) throws(BootError) in
        try file.read(from: segment.file.lowerBound, into: target)
      }
      memory.zero(segment.zeroes..<segment.memory.upperBound)
    }
    self.elf = elf
    physicalEntry = try Self.physicalEntry(of: elf) { (range) throws(BootError) in try file.bytes(range) }
  }

  // MARK: - From a compressed one

  /// Unpacks an ELF file so that its segments are in their places.
  ///
  /// Linux's segments mostly keep the distances that they have in the file: the file is unpacked to where the biggest
  /// segment belongs, which leaves little to be moved. Where this cannot be, it is unpacked beside the guest's memory.
  init(_ payload: CompressedPayload, into memory: GuestMemory) throws(BootError) {
    guard payload.size <= memory.size else {
      throw .kernelDoesNotFit(needed: UInt64(payload.size), memory: UInt64(memory.size))
    }
    let elf = try ELFKernel(start: try payload.start(ELFKernel.startSize), fileSize: payload.size)
    let slices = try Self.slices(of: elf, in: memory)
    self.elf = elf
    if let base = Self.base(of: elf), let whole = try? memory.slice(at: base, count: payload.size) {
      try whole.withMutableBytes { (target) throws(BootError) in try payload.decode(into: target) }
      physicalEntry = try Self.physicalEntry(of: elf) { whole.part($0).copyBytes() }
      Self.settle(elf, whole, slices, in: memory)
    } else {
      let staging: Mapping
      do throws(Errno) { staging = try Mapping.map(size: payload.size) } catch {
        throw .hostRefused("making room for the kernel", error.description)
      }
      let whole = UnsafeMutableRawBufferPointer(start: staging.base, count: payload.size)
      try payload.decode(into: whole)
      physicalEntry = try Self.physicalEntry(of: elf) { Array(whole[$0]) }
      for (segment, slice) in zip(elf.segments, slices) {
        slice.copy(from: UnsafeRawBufferPointer(rebasing: whole[segment.file]))
        memory.zero(segment.zeroes..<segment.memory.upperBound)
      }
    }
  }

  /// Where the file has to be for the biggest segment to be in its place; nil when that is not above the boot
  /// structures, or when moving one of the other segments to its place would write over one that is to be moved later.
  private static func base(of elf: ELFKernel) -> UInt64? {
    guard let biggest = elf.segments.max(by: { $0.file.count < $1.file.count }) else { return nil }
    let (base, underflow) = biggest.memory.lowerBound.subtractingReportingOverflow(
      UInt64(biggest.file.lowerBound))
    guard !underflow, base >= PCMap.extendedMemory else { return nil }
    for (index, segment) in elf.segments.enumerated() {
      let target = segment.memory.lowerBound..<segment.zeroes
      for later in elf.segments[(index + 1)...] {
        let (start, overflow) = base.addingReportingOverflow(UInt64(later.file.lowerBound))
        let (end, overflowBehind) = start.addingReportingOverflow(UInt64(later.file.count))
        guard !overflow, !overflowBehind, !target.overlaps(start..<end) else { return nil }
      }
    }
    return base
  }

  /// Moves the segments of a file that lies in memory to their places, and clears all else that it left.
  private static func settle(
    _ elf: ELFKernel, _ whole: GuestSlice, _ slices: [GuestSlice], in memory: GuestMemory
  ) {
    for (segment, slice) in zip(elf.segments, slices) {
      let source = whole.part(segment.file)
      if source.address != slice.address { source.withBytes { slice.copy(from: $0) } }
    }
    let end = whole.address + UInt64(whole.count)
    var free = whole.address
    for segment in elf.segments {
      memory.zero(free..<max(free, min(segment.memory.lowerBound, end)))
      memory.zero(segment.zeroes..<segment.memory.upperBound)
      free = max(free, segment.memory.upperBound)
    }
    memory.zero(free..<max(free, end))
  }

  // MARK: - Both

  /// The segments' places, each of which is RAM above the boot structures.
  private static func slices(
    of elf: ELFKernel, in memory: GuestMemory
  ) throws(BootError) -> [GuestSlice] {
    var slices: [GuestSlice] = []
    for segment in elf.segments {
      guard segment.memory.lowerBound >= PCMap.extendedMemory else {
        throw .damagedKernel("a segment is for address 0x\(String(segment.memory.lowerBound, radix: 16))")
      }
      guard let count = Int(exactly: segment.memory.upperBound - segment.memory.lowerBound),
        let slice = try? memory.slice(at: segment.memory.lowerBound, count: count)
      else { throw .kernelDoesNotFit(needed: elf.memory.upperBound, memory: UInt64(memory.size)) }
      slices.append(slice)
    }
    return slices
  }

  private static func physicalEntry(
    of elf: ELFKernel, read: (Range<Int>) throws(BootError) -> [UInt8]
  ) throws(BootError) -> UInt32? {
    for notes in elf.notes {
      let entry = XenNote.entry(in: try read(notes.file), alignment: notes.alignment)
      if let entry, elf.holds(UInt64(entry)) { return entry }
    }
    return nil
  }
}

extension GuestMemory {
  /// Makes RAM read as zero. Whole pages are given back to the host: those of a machine that has just been made are
  /// not taken, and those of one that is loaded anew are freed.
  fileprivate func zero(_ range: Range<UInt64>) {
    guard !range.isEmpty, let whole = try? slice(at: range.lowerBound, count: range.count) else { return }
    let mask = UInt64(Self.pageSize - 1)
    let start = (range.lowerBound + mask) & ~mask
    let end = range.upperBound & ~mask
    // What the host refuses to take back is written over.
    guard start < end, gives(back: start..<end) else { return whole.clear() }
    whole.part(0..<Int(start - range.lowerBound)).clear()
    whole.part(Int(end - range.lowerBound)..<whole.count).clear()
  }

  private func gives(back range: Range<UInt64>) -> Bool {
    do throws(GuestMemoryError) {
      return try discard(at: range.lowerBound, count: range.count) == nil
    } catch { return false }
  }
}
