internal import CHost
internal import GuestMemory
internal import HostSystem

/// The kernel's memory slots of a machine: RAM, and memory that guests can only read.
struct MemorySlots {
  /// A piece of memory that guests can only read.
  struct ReadOnly {
    let address: UInt64
    /// Kept for as long as guests see it.
    let mapping: Mapping
  }

  /// RAM, by slot number from 0.
  let regions: [GuestMemory.Region]
  /// By slot number from ``firstReadOnly``.
  private(set) var readOnly: [ReadOnly?] = []
  /// Whether reading the dirty log leaves it as it is.
  let clearsByHand: Bool
  private(set) var isLogging = false

  private var firstReadOnly: Int { regions.count }

  init(memory: GuestMemory, clearsByHand: Bool, machine: Descriptor) throws(KVMError) {
    regions = memory.regions
    self.clearsByHand = clearsByHand
    for (number, region) in regions.enumerated() { try Self.set(number, region, isLogging: false, machine) }
  }

  private static func set(
    _ number: Int, _ region: GuestMemory.Region, isLogging: Bool, _ machine: Descriptor
  ) throws(KVMError) {
    try set(
      number, address: region.base, host: region.host, size: region.size,
      flags: isLogging ? UInt32(KVM_MEM_LOG_DIRTY_PAGES) : 0, machine)
  }

  private static func set(
    _ number: Int, address: UInt64, host: UnsafeMutableRawPointer, size: Int, flags: UInt32,
    _ machine: Descriptor
  ) throws(KVMError) {
    var slot = kvm_userspace_memory_region()
    slot.slot = UInt32(number)
    slot.flags = flags
    slot.guest_phys_addr = address
    slot.memory_size = UInt64(size)
    slot.userspace_addr = UInt64(UInt(bitPattern: host))
    try machine.request(.setMemoryRegion, &slot)
  }

  // MARK: - Read-only memory

  mutating func add(_ mapping: Mapping, at address: UInt64, _ machine: Descriptor) throws(KVMError) {
    let place = readOnly.firstIndex { $0 == nil } ?? readOnly.count
    try Self.set(
      firstReadOnly + place, address: address, host: mapping.base, size: mapping.size,
      flags: UInt32(KVM_MEM_READONLY), machine)
    let memory = ReadOnly(address: address, mapping: mapping)
    if place < readOnly.count { readOnly[place] = memory } else { readOnly.append(memory) }
  }

  mutating func remove(at address: UInt64, _ machine: Descriptor) throws(KVMError) {
    guard let place = readOnly.firstIndex(where: { $0?.address == address }),
      let memory = readOnly[place]
    else { return }
    // A slot without bytes is gone.
    try Self.set(
      firstReadOnly + place, address: address, host: memory.mapping.base, size: 0, flags: 0, machine)
    readOnly[place] = nil
  }

  // MARK: - Dirty log

  mutating func setLogging(_ on: Bool, _ machine: Descriptor) throws(KVMError) {
    guard on != isLogging else { return }
    for (number, region) in regions.enumerated() { try Self.set(number, region, isLogging: on, machine) }
    isLogging = on
  }

  /// Marks the pages dirty that guests have written since the last call; how many.
  func collect(into memory: GuestMemory, _ machine: Descriptor) throws(KVMError) -> Int {
    guard isLogging else { return 0 }
    var count = 0
    for (number, region) in regions.enumerated() {
      let pages = region.size >> GuestMemory.pageShift
      var bitmap = [UInt64](repeating: 0, count: (pages + 63) / 64)
      try Self.readLog(slot: number, &bitmap, machine)
      let dirty = bitmap.reduce(0) { $0 + $1.nonzeroBitCount }
      guard dirty > 0 else { continue }
      // From here on the kernel notes writes anew, and what was written before is marked below.
      if clearsByHand { try Self.clearLog(slot: number, pages: pages, &bitmap, machine) }
      let first = region.offset >> GuestMemory.pageShift
      for (place, word) in bitmap.enumerated() where word != 0 {
        memory.markDirty(word, from: first + place * 64)
      }
      count += dirty
    }
    return count
  }

  /// A bit for each page of a slot.
  private static func readLog(slot: Int, _ bitmap: inout [UInt64], _ machine: Descriptor) throws(KVMError) {
    let outcome = bitmap.withUnsafeMutableBytes { bits in
      Result { () throws(KVMError) in
        var log = kvm_dirty_log()
        log.slot = UInt32(slot)
        log.dirty_bitmap = bits.baseAddress
        try machine.request(.getDirtyLog, &log)
      }
    }
    _ = try outcome.get()
  }

  /// Takes the pages of a slot whose bits are set out of the log.
  private static func clearLog(
    slot: Int, pages: Int, _ bitmap: inout [UInt64], _ machine: Descriptor
  ) throws(KVMError) {
    let outcome = bitmap.withUnsafeMutableBytes { bits in
      Result { () throws(KVMError) in
        var log = kvm_clear_dirty_log()
        log.slot = UInt32(slot)
        log.num_pages = UInt32(pages)
        log.dirty_bitmap = bits.baseAddress
        try machine.request(.clearDirtyLog, &log)
      }
    }
    _ = try outcome.get()
  }
}
