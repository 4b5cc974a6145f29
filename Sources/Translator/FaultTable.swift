internal import CHost
internal import HostSystem

/// Which instructions of generated code may fault, and the slow path of each: what the host's signal handler
/// looks up to go on there. Written under the code store's lock.
final class FaultTable: @unchecked Sendable {  // the handler reads what was published
  /// An access and its slow path: offsets in the arena.
  struct Entry: BitwiseCopyable {
    var access: Int32
    var slowPath: Int32
  }

  private let mapping: Mapping
  private let entries: UnsafeMutablePointer<UInt64>
  private let capacity: Int
  private let code: UnsafeMutablePointer<volary_faulting_code>
  private(set) var count = 0
  /// Whether the host lets faults be caught.
  let isCatching: Bool

  init(arena: CodeArena) throws(Errno) {
    // An access and its slow path take more than thirty bytes.
    capacity = arena.size / 32
    mapping = try Mapping.map(size: capacity * 8)
    entries = mapping.base.assumingMemoryBound(to: UInt64.self)
    code = .allocate(capacity: 1)
    code.initialize(to: volary_faulting_code())
    code.pointee.start = UInt(bitPattern: arena.executable)
    code.pointee.end = UInt(bitPattern: arena.executable) + UInt(arena.size)
    code.pointee.entries = UnsafePointer(entries)
    isCatching = volary_catch_faults(code) == 0
  }

  deinit {
    volary_withdraw_faults(code)
    code.deallocate()
  }

  /// Adds accesses, each behind all before, whose offsets are from `start`; false when there is no room.
  func append(_ new: [Entry], start: Int) -> Bool {
    guard capacity - count >= new.count else { return false }
    for entry in new {
      entries[count] = UInt64(start + Int(entry.access)) << 32 | UInt64(start + Int(entry.slowPath))
      count += 1
    }
    volary_set_fault_count(code, UInt32(count))
    return true
  }

  /// Adds those of code that was copied to `distance` bytes further on: `count` from `first` on. False when there is
  /// no room.
  func `repeat`(_ first: Int, count more: Int, distance: Int) -> Bool {
    guard capacity - count >= more else { return false }
    for index in first..<first + more {
      entries[count] = entries[index] &+ UInt64(distance) &* 0x1_0000_0001
      count += 1
    }
    volary_set_fault_count(code, UInt32(count))
    return true
  }

  func removeAll() {
    count = 0
    volary_set_fault_count(code, 0)
    mapping.release(0..<mapping.size)
  }
}
