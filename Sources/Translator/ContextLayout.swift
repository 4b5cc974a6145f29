/// The memory of one virtual CPU that generated code and Swift share.
///
/// Generated code holds its address in a register and reaches every field by a displacement; the 32
/// integer registers come first, around zero, so that theirs fit in a byte.
///
/// The types that hot code shares across modules are `@usableFromInline`: without it `@inlinable` members
/// of a `package` type are not inlined elsewhere, and static constants are calls.
@usableFromInline package enum ContextLayout {
  /// Bytes of the whole context, a page multiple. The upper half is the front end's own.
  @inlinable package static var size: Int { 8192 }
  /// Where the context register points, in bytes from the start of the memory.
  @inlinable package static var origin: Int { 128 }

  // Displacements from the context register, in bytes.

  /// Register `number`: 0 to 31 the integer file, 32 to 63 the floating-point file; eight bytes each.
  @inlinable package static func register(_ number: UInt8) -> Int32 { Int32(number) * 8 - 128 }
  /// The guest's program counter, current whenever generated code is left or calls out.
  @inlinable package static var programCounter: Int32 { 384 }
  /// Nonzero asks generated code to leave at the next poll. 32 bits, set from any thread.
  @inlinable package static var exitRequest: Int32 { 392 }
  /// Nonzero after a call-out that has changed the program counter: leave, to the dispatcher or by ``goOn``. 32 bits.
  @inlinable package static var redirect: Int32 { 396 }
  /// The current ``AddressView``.
  @inlinable package static var view: Int32 { 400 }
  /// Guest instructions retired, when counting.
  @inlinable package static var instructionsRetired: Int32 { 408 }
  /// Reservation of load-reserved: the address (all ones: none) and the value it read.
  @inlinable package static var reservationAddress: Int32 { 416 }
  @inlinable package static var reservationValue: Int32 { 424 }
  /// The reference that call-outs turn back into the CPU object.
  @inlinable package static var owner: Int32 { 432 }
  /// Addresses of the call-out functions, eight bytes each (``CallOut``).
  @inlinable package static var callOuts: Int32 { 440 }
  /// Accumulated floating-point exception flags of the guest, 32 bits, in the order of
  /// ``SoftFloat.ExceptionFlags``.
  @inlinable package static var floatFlags: Int32 { 504 }
  /// The guest's dynamic rounding mode, 32 bits.
  @inlinable package static var floatRounding: Int32 { 508 }
  /// Set to all ones by floating-point instructions that changed guest state, 32 bits.
  @inlinable package static var floatTouched: Int32 { 512 }
  /// The host stack pointer when generated code was entered, where no call is waiting for its return.
  @inlinable package static var hostStack: Int32 { 520 }
  /// Where calls that wait for their return begin to be too many: a host stack address.
  @inlinable package static var stackLimit: Int32 { 528 }
  /// The host stack pointer at a call-out; 0 while generated code does not run.
  @inlinable package static var callOutStack: Int32 { 536 }
  /// The views for each of up to eight modes of access to memory, as the front end numbers them; 0 for one that has to be
  /// looked for.
  @inlinable package static var modeViews: Int32 { 544 }
  /// Where a call-out that has set ``redirect`` has generated code go on, instead of leaving: 0, or what
  /// ``CodeStore/goOn(key:)`` gives.
  @inlinable package static var goOn: Int32 { 608 }
  /// ``AddressWindow/size``, for comparisons.
  @inlinable package static var windowSize: Int32 { 616 }
  /// The next free displacement; spare up to ``blockCounters``.
  @inlinable package static var scratch: Int32 { 624 }
  /// While the machine is profiled: the address of this CPU's counters of block executions.
  @inlinable package static var blockCounters: Int32 { 2560 }
  /// While the machine is profiled: what the fixed pieces of code count (``ProfileCounter``).
  @inlinable package static var profileCounters: Int32 { 2568 }
  /// What floating-point code needs from memory (``FloatConstants``).
  @inlinable package static var floatConstants: Int32 { 3072 }
  /// Where the front end's own half begins.
  @inlinable package static var frontEnd: Int32 { 4096 - 128 }
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
@usableFromInline
package struct Context: @unchecked Sendable {  // a pointer; who may use it when is the CPU's discipline
  /// What the context register holds.
  @usableFromInline package let base: UnsafeMutableRawPointer

  /// `memory` is ``ContextLayout/size`` zeroed bytes, aligned to a page.
  package init(memory: UnsafeMutableRawPointer) {
    base = memory + ContextLayout.origin
    FloatConstants.install(in: base)
    word(ContextLayout.windowSize).pointee = AddressWindow.size
  }
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

  /// Makes generated code that has called out forget where its calls return to, because the code or the pages
  /// it is on may have changed: each return is looked up then. By the CPU's own thread.
  package func forgetReturns() {
    let top = word(ContextLayout.callOutStack).pointee
    guard top != 0 else { return }
    // A call leaves the host's return address, and above it the guest's.
    var place = UInt(top) + 8
    while place < UInt(word(ContextLayout.hostStack).pointee) {
      UnsafeMutablePointer<UInt64>(bitPattern: place)?.pointee = .max
      place += 16
    }
  }

  @inlinable package var programCounter: UInt64 {
    get { word(ContextLayout.programCounter).pointee }
    nonmutating set { word(ContextLayout.programCounter).pointee = newValue }
  }
}
