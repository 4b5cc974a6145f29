/// Writes x86-64 instructions into a buffer of the caller's.
///
/// Methods are named after the mnemonics and take the operand width first, then the operands in
/// Intel's order, destination first; each chooses the shortest encoding. The buffer is written
/// through one mapping and runs from another, so the assembler is told the executable address of
/// the buffer's first byte and computes every relative operand from that.
///
/// Emitting allocates nothing and cannot fail in the middle: the cursor stops short of the buffer's
/// end and stays there, `overflowed` turns true, and what is emitted from then on overwrites itself
/// within the buffer. Callers check once at the end of a block, or ask `reserve(_:)` before it.
///
/// Keep the assembler in a local variable or pass it `inout`; as a stored property of a class each
/// instruction pays for an exclusivity check.
@usableFromInline package struct X86Assembler: ~Copyable {
  /// The buffer's first byte.
  @usableFromInline var start: UnsafeMutablePointer<UInt8>
  /// Where the next instruction goes.
  @usableFromInline var next: UnsafeMutablePointer<UInt8>
  /// Where the cursor stops: `slack` bytes before the buffer's end.
  @usableFromInline var limit: UnsafeMutablePointer<UInt8>
  /// Added to a writable address, gives the executable one.
  @usableFromInline var executableDelta: UInt64

  @usableFromInline let labels: UnsafeMutablePointer<LabelState>
  @usableFromInline let labelCapacity: Int
  @usableFromInline var labelCount = 0

  /// The displacement fields that wait for labels not yet bound.
  @usableFromInline package internal(set) var pendingFixups = 0
  /// More labels were made than the assembler has room for.
  @usableFromInline package internal(set) var labelsExhausted = false
  /// A jump cannot hold the distance to its target: a short jump over more than 127 bytes.
  @usableFromInline package internal(set) var outOfReach = false

  /// The longest instruction there is, in bytes (Intel SDM volume 2, 2.3.11).
  @inlinable package static var maximumInstructionLength: Int { 15 }

  /// Bytes kept free behind the cursor's last position: an instruction is written with stores of up
  /// to eight bytes that may reach beyond its end.
  @inlinable static var slack: Int { 32 }

  /// An assembler that writes into `buffer`, which must outlive it, hold 64 bytes to 256 MiB, and
  /// run at `executableBase`, an address that equals the buffer's own modulo 8.
  package init(
    buffer: UnsafeMutableRawBufferPointer, executableBase: UInt64, labelCapacity: Int = 256
  ) {
    precondition(labelCapacity > 0)
    self.labelCapacity = labelCapacity
    // One more: the label that is handed out when there are no more.
    labels = .allocate(capacity: labelCapacity + 1)
    labels.initialize(repeating: LabelState(), count: labelCapacity + 1)
    (start, limit, executableDelta) = X86Assembler.bounds(of: buffer, executableBase: executableBase)
    next = start
  }

  deinit { labels.deallocate() }

  /// Goes on in another buffer, under the same conditions as `init`; drops labels and failures.
  package mutating func retarget(buffer: UnsafeMutableRawBufferPointer, executableBase: UInt64) {
    (start, limit, executableDelta) = X86Assembler.bounds(of: buffer, executableBase: executableBase)
    rewind(to: 0)
  }

  private static func bounds(
    of buffer: UnsafeMutableRawBufferPointer, executableBase: UInt64
  ) -> (start: UnsafeMutablePointer<UInt8>, limit: UnsafeMutablePointer<UInt8>, delta: UInt64) {
    // A label's chain holds offsets in 29 bits, and a bound label its offset in 31.
    guard let base = buffer.baseAddress, buffer.count >= 64, buffer.count <= 1 << 28 else {
      preconditionFailure("a code buffer holds 64 bytes to 256 MiB")
    }
    let delta = executableBase &- UInt64(UInt(bitPattern: base))
    precondition(delta & 7 == 0, "both mappings of a code buffer share their alignment")
    let start = base.assumingMemoryBound(to: UInt8.self)
    return (start, start + (buffer.count - slack), delta)
  }

  // MARK: - Position

  /// The writable address of the next instruction.
  @inlinable package var cursor: UnsafeMutablePointer<UInt8> { next }

  /// Bytes emitted since the buffer's start.
  @inlinable package var offset: Int { next - start }

  /// The executable address of the next instruction.
  @inlinable package var executableAddress: UInt64 { executableAddress(of: next) }

  /// The executable address of the byte at `offset`.
  @inlinable package func executableAddress(of offset: Int) -> UInt64 {
    executableAddress(of: start + offset)
  }

  @inlinable func executableAddress(of place: UnsafeMutablePointer<UInt8>) -> UInt64 {
    UInt64(UInt(bitPattern: place)) &+ executableDelta
  }

  /// Bytes that can be emitted before the assembler overflows.
  @inlinable package var remaining: Int { max(0, limit - next - 1) }

  /// Whether `bytes` more can be emitted without overflowing. Changes nothing.
  @inlinable package func reserve(_ bytes: Int) -> Bool { bytes <= remaining }

  /// The buffer was too small: its content is unusable from some instruction on.
  @inlinable package var overflowed: Bool { next >= limit }

  /// What was emitted cannot be used: the buffer overflowed, labels ran out, a jump did not reach,
  /// or some label that is jumped to is not bound.
  @inlinable package var failed: Bool {
    overflowed || labelsExhausted || outOfReach || pendingFixups != 0
  }

  /// Drops what was emitted from `offset` on, which must have been reached, and with it all labels
  /// and failures.
  package mutating func rewind(to offset: Int) {
    precondition(offset >= 0 && offset <= limit - start)
    next = start + offset
    resetLabels()
    labelsExhausted = false
    outOfReach = false
  }

  // MARK: - Raw bytes

  /// Moves the cursor behind what was written, or to where it stops.
  @inlinable @inline(__always)
  mutating func advance(to place: UnsafeMutablePointer<UInt8>) {
    next = place < limit ? place : limit
  }

  /// Emits bytes as they are, and returns where they were put; nil, and nothing emitted, if there is no room.
  @inlinable package mutating func append(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutableRawPointer? {
    guard reserve(bytes.count), let source = bytes.baseAddress else {
      advance(to: limit)
      return nil
    }
    let place = UnsafeMutableRawPointer(next)
    place.copyMemory(from: source, byteCount: bytes.count)
    advance(to: next + bytes.count)
    return place
  }

  /// Emits a byte of data.
  @inlinable package mutating func emit(byte: UInt8) {
    next.pointee = byte
    advance(to: next + 1)
  }

  /// Emits four bytes of data, the lowest first.
  @inlinable package mutating func emit(word: UInt32) {
    next.store(word)
    advance(to: next + 4)
  }

  /// Emits eight bytes of data, the lowest first.
  @inlinable package mutating func emit(quad: UInt64) {
    next.store(quad)
    advance(to: next + 8)
  }

  /// Emits the `count` lowest bytes of `word`.
  @inlinable @inline(__always)
  mutating func emit(_ word: UInt64, count: Int) {
    next.store(word)
    advance(to: next + count)
  }
}

extension UnsafeMutablePointer<UInt8> {
  /// Stores an integer at any alignment, the lowest byte first.
  @inlinable @inline(__always)
  func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    UnsafeMutableRawPointer(self).storeBytes(of: value.littleEndian, as: T.self)
  }
}
