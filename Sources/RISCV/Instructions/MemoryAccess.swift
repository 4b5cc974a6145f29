package import Translator

/// How ``Interpreter`` reaches memory: addresses are virtual, values little-endian.
///
/// The interpreter is specialised over the conforming type, so that a plain load becomes the few
/// instructions of that type's fast path.
package protocol MemoryAccess {
  /// Loads from any address, aligned or not. Throws load exceptions.
  mutating func load<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, as type: T.Type
  ) throws(Trap) -> T

  /// Stores to any address, aligned or not; a store that faults writes nothing. Throws store
  /// exceptions.
  mutating func store<T: FixedWidthInteger & UnsignedInteger>(
    _ value: T, at address: UInt64
  ) throws(Trap)

  /// Replaces the value at a naturally aligned address as `operation` says, indivisibly, and returns
  /// the old one. Throws store exceptions; misaligned addresses are `storeAddressMisaligned`.
  mutating func atomic<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, _ operation: AtomicOperation, _ operand: T
  ) throws(Trap) -> T

  /// Loads from a naturally aligned address and reserves it. Throws load exceptions.
  mutating func loadReserved<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, as type: T.Type
  ) throws(Trap) -> T

  /// Stores to a naturally aligned address if the reservation holds, and drops the reservation in any
  /// case. Returns whether it stored. Throws store exceptions.
  mutating func storeConditional<T: FixedWidthInteger & UnsignedInteger>(
    _ value: T, at address: UInt64
  ) throws(Trap) -> Bool

  /// Orders earlier and later accesses.
  mutating func fence(_ ordering: Ordering)
}

/// What an atomic memory operation makes of the old value and its operand (unprivileged
/// specification, chapter "Zaamo").
package enum AtomicOperation: UInt8, CaseIterable, Sendable {
  case swap, add, xor, and, or
  case minimum, maximum, minimumUnsigned, maximumUnsigned

  /// The value that replaces `old`.
  @inline(always)
  package func apply<T: FixedWidthInteger & UnsignedInteger>(_ old: T, _ operand: T) -> T {
    // Adding half the range turns the signed order into the unsigned one.
    let bias: T = 1 &<< (T(truncatingIfNeeded: T.bitWidth) &- 1)
    return switch self {
    case .swap: operand
    case .add: old &+ operand
    case .xor: old ^ operand
    case .and: old & operand
    case .or: old | operand
    case .minimum: old ^ bias < operand ^ bias ? old : operand
    case .maximum: old ^ bias < operand ^ bias ? operand : old
    case .minimumUnsigned: old < operand ? old : operand
    case .maximumUnsigned: old < operand ? operand : old
    }
  }
}
