internal import CHost
internal import Glibc
package import HostSystem
internal import Synchronization

/// The lower part of a guest address space as a range of the host's own: where a guest page is mapped, an access
/// of generated code is one of the host's, and the host's memory management does the look-up. What is not mapped
/// faults, and the faulting instruction's slow path makes the access and maps the page (``FaultTable``).
///
/// A page costs some microseconds to map and to unmap, so that only address spaces that run for long are worth a
/// window. Pages are mapped as the guest's page table permits: for writing only when it is marked dirty there
/// and holds no translated code.
package final class AddressWindow {  // touched by its CPU's thread alone
  /// Bytes of guest addresses from 0 on that a window shows: what a program has with page tables of three levels.
  @inlinable package static var size: UInt64 { 1 << 38 }
  /// Bytes on each side of a window that nothing is ever mapped in: what generated code may add to an address
  /// that it has found to be below ``size``.
  @inlinable package static var guardSize: Int { 1 << 20 }
  /// Mappings in all windows of a process at most: each may cut the reservation around it in two, and the kernel's
  /// limit is 65,530 by default.
  static let mappingLimit = 30_000
  private static let mapped = Atomic<Int>(0)

  /// Host address of the guest's address 0.
  package let base: UnsafeMutableRawPointer
  private let reservation: Mapping
  private let file: Descriptor
  // Both tables are read before they are written. They are shared memory, though nobody shares it, because private
  // memory that is read first is replaced at its first write, for which the kernel interrupts every CPU that runs a
  // thread of the process.

  /// Two bits for each guest page: ``readable``, ``writable``.
  private let permissionMapping: Mapping
  private let permissions: UnsafeMutablePointer<UInt8>
  /// Parts of the permissions, of ``permissionPart`` bytes, that may not be zero.
  private var usedPermissions: [Int] = []
  /// For each page of the memory file the guest page that shows it for writing, plus one, below ``writerBits``; and
  /// above it the generation of the window that this was noted in.
  private let writerMapping: Mapping
  private let writers: UnsafeMutablePointer<UInt32>
  private var generation: UInt32 = 1
  /// Mappings made since the window was empty.
  package private(set) var mappings = 0

  private static let readable: UInt8 = 1
  private static let writable: UInt8 = 2
  private static let permissionPart = 4096
  /// Parts of the permissions that are kept when a window is emptied.
  private static let mostParts = 16
  private static let writerBits: UInt32 = 27

  /// Whether this host can have windows: its programs may set a segment's base.
  package static let isSupported = volary_has_gs_base()

  deinit { Self.mapped.subtract(mappings, ordering: .relaxed) }

  /// An empty window on a memory file of `pageCount` pages. Throws `Errno` when the host refuses.
  package init(file: Descriptor, pageCount: Int) throws(Errno) {
    reservation = try Mapping.map(size: Int(Self.size) + 2 * Self.guardSize, protection: PROT_NONE)
    base = reservation.base + Self.guardSize
    permissionMapping = try Mapping.shared(size: Int(Self.size >> 14))
    permissions = permissionMapping.base.assumingMemoryBound(to: UInt8.self)
    writerMapping = try Mapping.shared(size: pageCount * 4)
    writers = writerMapping.base.assumingMemoryBound(to: UInt32.self)
    self.file = file
  }

  /// Makes a window the calling thread's, for generated code to use; nil for none.
  package static func activate(_ window: AddressWindow?) {
    guard isSupported else { return }
    // Without a window, the end of what programs can have mapped.
    volary_set_gs_base(window.map { UInt64(UInt(bitPattern: $0.base)) } ?? 0x7FFF_FFFF_F000)
  }

  private func bits(_ page: Int) -> UInt8 { (permissions[page >> 2] >> UInt8((page & 3) * 2)) & 3 }

  private func setBits(_ page: Int, _ value: UInt8) {
    let shift = UInt8((page & 3) * 2)
    permissions[page >> 2] = permissions[page >> 2] & ~(3 << shift) | value << shift
    let part = (page >> 2) / Self.permissionPart
    if usedPermissions.last != part, !usedPermissions.contains(part) { usedPermissions.append(part) }
  }

  /// The guest page that shows a page of the memory file for writing.
  private func writer(of number: Int) -> Int? {
    let noted = writers[number]
    return noted >> Self.writerBits == generation ? Int(noted & (1 << Self.writerBits - 1)) - 1 : nil
  }

  /// Whether a guest page, by number, is mapped for reading, or for writing.
  package func isMapped(_ page: Int, forWriting: Bool) -> Bool {
    bits(page) & (forWriting ? Self.writable : Self.readable) != 0
  }

  /// Shows `count` pages of the memory file from `number` on at a guest page and those behind it. False when the
  /// host has no room for more, and the window is to be cleared.
  package func map(_ page: Int, number: Int, count: Int, forWriting: Bool) -> Bool {
    if forWriting {
      for index in 0..<count {
        // One place for writing, so that a right to write can be taken away by the page of the file.
        if let other = writer(of: number + index), other != page + index { unmap(other) }
        writers[number + index] = generation << Self.writerBits | UInt32(page + index + 1)
      }
    }
    guard Self.mapped.load(ordering: .relaxed) < Self.mappingLimit else { return false }
    mappings += 1
    Self.mapped.add(1, ordering: .relaxed)
    let place = mmap(
      base + page << 12, count << 12, forWriting ? PROT_READ | PROT_WRITE : PROT_READ,
      MAP_SHARED | MAP_FIXED | MAP_POPULATE, file.raw, number << 12)
    guard place != MAP_FAILED else { return false }
    for index in 0..<count {
      setBits(page + index, forWriting ? Self.readable | Self.writable : Self.readable)
    }
    return true
  }

  private func unmap(_ page: Int) {
    guard bits(page) != 0 else { return }
    setBits(page, 0)
    // A mapping may have to be cut in two, for which the kernel may have no room; to close all takes none.
    if !close(base + page << 12, 1 << 12) { clear() }
  }

  /// Makes a range inaccessible; false when the kernel has no room for it.
  private func close(_ start: UnsafeMutableRawPointer, _ count: Int) -> Bool {
    mmap(start, count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0)
      != MAP_FAILED
  }

  /// Forgets the guest page of an address.
  package func drop(_ address: UInt64) {
    guard address < Self.size else { return }
    unmap(Int(address >> 12))
  }

  /// Forgets that a page of the memory file may be written.
  package func dropWrites(toPage number: Int) {
    guard let page = writer(of: number) else { return }
    unmap(page)
    writers[number] = 0
  }

  /// Forgets everything.
  package func clear() {
    guard mappings > 0 else { return }
    Self.mapped.subtract(mappings, ordering: .relaxed)
    mappings = 0
    guard close(base, Int(Self.size)) else { preconditionFailure("the host refuses to unmap memory") }
    if usedPermissions.count > Self.mostParts {
      permissionMapping.discard(0..<permissionMapping.size)
    } else {
      for part in usedPermissions {
        (permissions + part * Self.permissionPart).update(repeating: 0, count: Self.permissionPart)
      }
    }
    usedPermissions.removeAll(keepingCapacity: true)
    generation += 1
    if generation == 1 << (UInt32.bitWidth - Int(Self.writerBits)) {
      generation = 1
      writerMapping.discard(0..<writerMapping.size)
    }
  }
}
