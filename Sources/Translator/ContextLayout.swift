/// The memory of one virtual CPU that generated code and Swift share.
///
/// Generated code holds its address in a register and reaches every field by a displacement; the 32
/// integer registers come first, around zero, so that theirs fit in a byte.
package enum ContextLayout {
  /// Bytes of the whole context, a page multiple. The upper half is the front end's own.
  package static let size = 8192
  /// Where the context register points, in bytes from the start of the memory.
  package static let origin = 128

  // Displacements from the context register, in bytes.

  /// Register `number`: 0 to 31 the integer file, 32 to 63 the floating-point file; eight bytes each.
  @inlinable package static func register(_ number: UInt8) -> Int32 { Int32(number) * 8 - 128 }
  /// The guest's program counter, current whenever generated code is left or calls out.
  package static let programCounter: Int32 = 384
  /// Nonzero asks generated code to leave at the next poll. 32 bits, set from any thread.
  package static let exitRequest: Int32 = 392
  /// Nonzero after a call-out that has changed the program counter: leave to the dispatcher. 32 bits.
  package static let redirect: Int32 = 396
  /// The current ``AddressView``.
  package static let view: Int32 = 400
  /// Guest instructions retired, when counting.
  package static let instructionsRetired: Int32 = 408
  /// Reservation of load-reserved: the address (all ones: none) and the value it read.
  package static let reservationAddress: Int32 = 416
  package static let reservationValue: Int32 = 424
  /// The reference that call-outs turn back into the CPU object.
  package static let owner: Int32 = 432
  /// Addresses of the call-out functions, eight bytes each (``CallOut``).
  package static let callOuts: Int32 = 440
  /// Accumulated floating-point exception flags of the guest, 32 bits, in the order of
  /// ``SoftFloat.ExceptionFlags``.
  package static let floatFlags: Int32 = 504
  /// The guest's dynamic rounding mode, 32 bits.
  package static let floatRounding: Int32 = 508
  /// Set to all ones by floating-point instructions that changed guest state, 32 bits.
  package static let floatTouched: Int32 = 512
  /// The next free displacement; spare up to the front end's half.
  package static let scratch: Int32 = 520
  /// Where the front end's own half begins.
  package static let frontEnd: Int32 = 4096 - 128
}

/// The functions that generated code calls out to; each front end provides all.
package enum CallOut: Int32, CaseIterable, Sendable {
  /// (context, address, access) -> value. A load that the inline path could not make.
  case load
  /// (context, address, access, value). A store that the inline path could not make.
  case store
  /// (context, instruction index). An instruction carried out by the interpreter.
  case interpret
}

/// A typed view of a context's memory.
package struct Context: @unchecked Sendable {  // a pointer; who may use it when is the CPU's discipline
  /// What the context register holds.
  package let base: UnsafeMutableRawPointer

  /// `memory` is ``ContextLayout/size`` zeroed bytes, aligned to a page.
  @inlinable package init(memory: UnsafeMutableRawPointer) { base = memory + ContextLayout.origin }
  @inlinable package init(base: UnsafeMutableRawPointer) { self.base = base }

  /// The registers as 64 words: the integer file, then the floating-point file.
  @inlinable package var registers: UnsafeMutablePointer<UInt64> {
    (base + Int(ContextLayout.register(0))).assumingMemoryBound(to: UInt64.self)
  }

  @inlinable package func word(_ displacement: Int32) -> UnsafeMutablePointer<UInt64> {
    (base + Int(displacement)).assumingMemoryBound(to: UInt64.self)
  }

  @inlinable package func half(_ displacement: Int32) -> UnsafeMutablePointer<UInt32> {
    (base + Int(displacement)).assumingMemoryBound(to: UInt32.self)
  }

  @inlinable package var programCounter: UInt64 {
    get { word(ContextLayout.programCounter).pointee }
    nonmutating set { word(ContextLayout.programCounter).pointee = newValue }
  }
}
