internal import Synchronization
internal import Translator

/// A hart's virtual memory as its interpreter reaches it: the current view's tables first, the slow
/// path else.
struct HartMemory: MemoryAccess {
  unowned(unsafe) let hart: Hart
  let view: AddressView

  init(_ hart: Hart) {
    self.hart = hart
    view = hart.view
  }

  @inline(__always)
  mutating func load<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, as type: T.Type
  ) throws(Trap) -> T {
    let width = UInt64(truncatingIfNeeded: T.bitWidth / 8)
    if let host = view.hit(table: AddressView.readTable, address, size: width) {
      return T(littleEndian: UnsafeRawPointer(host).loadInteger(as: T.self))
    }
    return T(truncatingIfNeeded: try hart.slowLoad(address, width: Int(width)))
  }

  @inline(__always)
  mutating func store<T: FixedWidthInteger & UnsignedInteger>(
    _ value: T, at address: UInt64
  ) throws(Trap) {
    let width = UInt64(truncatingIfNeeded: T.bitWidth / 8)
    if let host = view.hit(table: AddressView.writeTable, address, size: width) {
      host.storeInteger(value.littleEndian)
      return
    }
    try hart.slowStore(address, width: Int(width), value: UInt64(truncatingIfNeeded: value))
  }

  mutating func atomic<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, _ operation: AtomicOperation, _ operand: T
  ) throws(Trap) -> T {
    let target = try hart.atomicTarget(address, width: UInt64(T.bitWidth / 8), kind: .write)
    if T.bitWidth == 32 {
      let operand = UInt32(truncatingIfNeeded: operand)
      let cell = target.assumingMemoryBound(to: Atomic<UInt32>.self)
      var old = cell.pointee.load(ordering: .relaxed)
      while true {
        let (exchanged, original) = cell.pointee.weakCompareExchange(
          expected: old, desired: operation.apply(old, operand), ordering: .sequentiallyConsistent)
        if exchanged { return T(truncatingIfNeeded: old) }
        old = original
      }
    }
    let operand = UInt64(truncatingIfNeeded: operand)
    let cell = target.assumingMemoryBound(to: Atomic<UInt64>.self)
    var old = cell.pointee.load(ordering: .relaxed)
    while true {
      let (exchanged, original) = cell.pointee.weakCompareExchange(
        expected: old, desired: operation.apply(old, operand), ordering: .sequentiallyConsistent)
      if exchanged { return T(truncatingIfNeeded: old) }
      old = original
    }
  }

  mutating func loadReserved<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, as type: T.Type
  ) throws(Trap) -> T {
    let target = try hart.atomicTarget(address, width: UInt64(T.bitWidth / 8), kind: .read)
    let value: UInt64 =
      T.bitWidth == 32
      ? UInt64(
        target.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .sequentiallyConsistent))
      : target.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .sequentiallyConsistent)
    hart.context.word(ContextLayout.reservationAddress).pointee = UInt64(UInt(bitPattern: target))
    hart.context.word(ContextLayout.reservationValue).pointee = value
    return T(truncatingIfNeeded: value)
  }

  mutating func storeConditional<T: FixedWidthInteger & UnsignedInteger>(
    _ value: T, at address: UInt64
  ) throws(Trap) -> Bool {
    let reservation = hart.context.word(ContextLayout.reservationAddress)
    let reserved = reservation.pointee
    let target = try hart.atomicTarget(address, width: UInt64(T.bitWidth / 8), kind: .write)
    reservation.pointee = .max
    guard reserved == UInt64(UInt(bitPattern: target)) else { return false }
    let expected = hart.context.word(ContextLayout.reservationValue).pointee
    if T.bitWidth == 32 {
      return target.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.compareExchange(
        expected: UInt32(truncatingIfNeeded: expected), desired: UInt32(truncatingIfNeeded: value),
        ordering: .sequentiallyConsistent
      ).exchanged
    }
    return target.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.compareExchange(
      expected: expected, desired: UInt64(truncatingIfNeeded: value), ordering: .sequentiallyConsistent
    ).exchanged
  }

  mutating func fence(_ ordering: Ordering) {
    if ordering.contains(.storeLoad) { atomicMemoryFence(ordering: .sequentiallyConsistent) }
  }
}

extension UnsafeRawPointer {
  @inline(__always) func loadInteger<T: FixedWidthInteger>(as type: T.Type) -> T {
    var value: T = 0
    withUnsafeMutableBytes(of: &value) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: self, count: MemoryLayout<T>.size))
    }
    return value
  }
}

extension UnsafeMutableRawPointer {
  @inline(__always) func storeInteger<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value) {
      copyMemory(from: $0.baseAddress!, byteCount: MemoryLayout<T>.size)
    }
  }
}
