internal import Synchronization

/// A checked window on guest RAM. The guest may change its bytes at any time, so whatever is
/// validated is copied first; a slice gives no typed reference into memory.
package struct GuestSlice: Sendable {
  @usableFromInline let memory: GuestMemory
  /// The window's first guest-physical address.
  package let address: UInt64
  @usableFromInline nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer  // shared with the guest

  @inlinable init(memory: GuestMemory, address: UInt64, bytes: UnsafeMutableRawBufferPointer) {
    self.memory = memory
    self.address = address
    self.bytes = bytes
  }

  @inlinable package var count: Int { bytes.count }

  /// A part of the window; the range must lie within it.
  @inlinable package func part(_ range: Range<Int>) -> GuestSlice {
    GuestSlice(
      memory: memory, address: address &+ UInt64(range.lowerBound),
      bytes: UnsafeMutableRawBufferPointer(rebasing: bytes[range]))
  }

  /// Copies the window's bytes out.
  package func copyBytes() -> [UInt8] { [UInt8](bytes) }

  /// Copies as many bytes as fit out into `target`.
  package func copy(to target: UnsafeMutableRawBufferPointer) {
    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, target.count)]))
  }

  /// Copies as many bytes as fit in from `source`.
  package func copy(from source: UnsafeRawBufferPointer) {
    let count = min(bytes.count, source.count)
    memory.own(at: address, count: count)
    bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
    memory.reportWrite(at: address, count: count)
  }

  /// Has the window be this machine's own memory, for whoever writes to its bytes by himself.
  package func own() { memory.own(at: address, count: bytes.count) }

  /// Zeroes the window.
  package func clear() {
    memory.own(at: address, count: bytes.count)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    memory.reportWrite(at: address, count: bytes.count)
  }

  /// Lends the bytes to a system call that reads from them (write(2) and its kin).
  package func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeRawBufferPointer(bytes))
  }

  /// Lends the bytes to a system call that fills them (read(2) and its kin), then reports the write.
  package func withMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    memory.own(at: address, count: bytes.count)
    defer { memory.reportWrite(at: address, count: bytes.count) }
    return try body(bytes)
  }

  // MARK: - Integers, little-endian, of any alignment

  /// Reads an integer at `offset`, which must lie within the window.
  @inlinable package func load<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self, at offset: Int
  ) -> T {
    T(littleEndian: UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// Writes an integer at `offset`, which must lie within the window.
  @inlinable package func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    memory.own(at: address &+ UInt64(offset), count: MemoryLayout<T>.size)
    bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    memory.reportWrite(at: address &+ UInt64(offset), count: MemoryLayout<T>.size)
  }

  // MARK: - Atomics over rings

  /// Reads a naturally aligned 16-bit ring index that the guest publishes, with acquire ordering.
  @inlinable package func loadAcquiring16(at offset: Int) -> UInt16 {
    precondition(offset >= 0 && offset + 2 <= bytes.count)
    let cell = (bytes.baseAddress! + offset).assumingMemoryBound(to: Atomic<UInt16>.self)
    return UInt16(littleEndian: cell.pointee.load(ordering: .acquiring))
  }

  /// Publishes a naturally aligned 16-bit ring index to the guest, with release ordering.
  @inlinable package func storeReleasing16(_ value: UInt16, at offset: Int) {
    precondition(offset >= 0 && offset + 2 <= bytes.count)
    memory.own(at: address &+ UInt64(offset), count: 2)
    let cell = (bytes.baseAddress! + offset).assumingMemoryBound(to: Atomic<UInt16>.self)
    cell.pointee.store(value.littleEndian, ordering: .releasing)
    memory.reportWrite(at: address &+ UInt64(offset), count: 2)
  }
}
