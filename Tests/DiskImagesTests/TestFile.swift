import DiskImages
import Glibc
import HostSystem
import Synchronization

/// A file in memory that can lose power, be full, or be without hole punching. Sectors of 512 bytes
/// are written as a whole; everything between two syncs may reach the medium or not, each sector on
/// its own, in any of its versions.
final class TestFile: ImageFile {
  private struct State {
    var size: UInt64 = 0
    var durableSize: UInt64 = 0
    /// What is on the medium; sectors that are not here are zero.
    var durable: [UInt64: [UInt8]] = [:]
    /// What was written since, oldest first.
    var versions: [UInt64: [[UInt8]]] = [:]
    var operationsLeft = Int.max
    var sectorsLeft = Int.max
    var afterSync: (@Sendable () -> Void)?

    func latest(_ sector: UInt64) -> [UInt8] {
      versions[sector]?.last ?? durable[sector] ?? [UInt8](repeating: 0, count: 512)
    }
  }

  let name = "test.img"
  let isReadOnly: Bool
  let canDeallocate: Bool
  private let state = Mutex(State())

  init(size: UInt64 = 0, canDeallocate: Bool = true, isReadOnly: Bool = false) {
    self.canDeallocate = canDeallocate
    self.isReadOnly = isReadOnly
    state.withLock {
      $0.size = size
      $0.durableSize = size
    }
  }

  /// After `count` more changes or syncs everything fails, as when the process was killed.
  func fail(afterOperations count: Int) { state.withLock { $0.operationsLeft = count } }

  /// How many more sectors may be written before the device is full.
  func setSpace(sectors: Int) { state.withLock { $0.sectorsLeft = sectors } }

  /// Calls `action` once, after the next sync and before it returns: another thread's operation then.
  func afterNextSync(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.afterSync = action } }

  /// What a power cut leaves.
  func powerCut(using generator: inout Xorshift) -> TestFile {
    let after = TestFile(canDeallocate: canDeallocate)
    state.withLock { before in
      var durable = before.durable
      for sector in before.versions.keys.sorted() {
        let versions = before.versions[sector]!
        let kept = Int(generator.next() % UInt64(versions.count + 1))
        if kept > 0 { durable[sector] = versions[kept - 1] }
      }
      let size = generator.next() % 2 == 0 ? before.size : before.durableSize
      // What is behind the end does not come back when the file grows again.
      for sector in durable.keys where (sector + 1) * 512 > size {
        let held = Int(size - min(size, sector * 512))
        if held == 0 {
          durable[sector] = nil
        } else {
          durable[sector]?.replaceSubrange(held..., with: repeatElement(0, count: 512 - held))
        }
      }
      after.state.withLock {
        $0.durable = durable
        $0.size = size
        $0.durableSize = size
      }
    }
    return after
  }

  func size() throws(Errno) -> UInt64 { state.withLock { $0.size } }

  func resize(to size: UInt64) throws(Errno) {
    state.withLock { state in
      state.size = size
      for sector in Set(state.durable.keys).union(state.versions.keys) where sector * 512 >= size {
        state.durable[sector] = nil
        state.versions[sector] = nil
      }
    }
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let wasInside = state.withLock { state in
      guard offset + UInt64(buffer.count) <= state.size else { return false }
      var done = 0
      while done < buffer.count {
        let position = offset + UInt64(done)
        let part = state.latest(position / 512)[Int(position % 512)...].prefix(buffer.count - done)
        UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).copyBytes(from: part)
        done += part.count
      }
      return true
    }
    if !wasInside { throw .io }
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try change(offset, buffer.count) { buffer[$0] }
  }

  func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool {
    guard canDeallocate else { return false }
    try change(offset, Int(count)) { _ in 0 }
    return true
  }

  func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { false }

  private func change(_ offset: UInt64, _ count: Int, _ byte: (Int) -> UInt8) throws(Errno) {
    let failure: Errno? = state.withLock { state in
      var done = 0
      while done < count {
        if state.operationsLeft <= 0 { return .io }
        if state.sectorsLeft <= 0 { return .noSpace }
        let position = offset + UInt64(done)
        let sector = position / 512
        let from = Int(position % 512)
        let part = min(512 - from, count - done)
        var contents = state.latest(sector)
        for index in 0..<part { contents[from + index] = byte(done + index) }
        state.versions[sector, default: []].append(contents)
        state.size = max(state.size, position + UInt64(part))
        state.sectorsLeft -= 1
        state.operationsLeft -= 1
        done += part
      }
      return nil
    }
    if let failure { throw failure }
  }

  func sync() throws(Errno) {
    let isAlive = state.withLock { state in
      guard state.operationsLeft > 0 else { return false }
      state.operationsLeft -= 1
      for (sector, versions) in state.versions { state.durable[sector] = versions.last }
      state.versions = [:]
      state.durableSize = state.size
      return true
    }
    if !isAlive { throw .io }
    let action = state.withLock { state in
      defer { state.afterSync = nil }
      return state.afterSync
    }
    action?()
  }
}

/// Random numbers that a seed repeats.
struct Xorshift: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}

/// A path that no other test process uses.
func temporaryPath(_ name: String) -> String { "/tmp/volary-\(getpid())-\(name)" }

extension DiskImage {
  func bytes(_ offset: UInt64, _ count: Int) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0xA5, count: count)
    try buffer.withUnsafeMutableBytes { try read(at: offset, into: $0) }
    return buffer
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws {
    try bytes.withUnsafeBytes { try write(at: offset, from: $0) }
  }
}
