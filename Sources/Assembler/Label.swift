/// A place in the code that is being assembled, to be bound before or after it is jumped to.
/// A label belongs to the assembler that made it, until that assembler's `resetLabels()`.
@usableFromInline package struct Label: Equatable, Sendable {
  @usableFromInline let id: Int32

  @inlinable init(id: Int32) { self.id = id }
}

/// What the assembler knows of a label.
///
/// Jumps to a label that is not yet bound form a chain through their own displacement fields, so
/// that a label costs twelve bytes however many jumps it has.
@usableFromInline struct LabelState {
  /// Where the label is bound, from the start of the buffer, or `unbound`.
  @usableFromInline var offset: Int32
  /// The newest 32-bit field that waits for the label: its offset × 8 + the bytes that follow it in
  /// its instruction, or `noField`. The field holds the same of the field before it.
  @usableFromInline var nearChain: UInt32
  /// The newest 8-bit field that waits for the label, or `unbound`. The field holds the distance
  /// back to the field before it, 0 in the first.
  @usableFromInline var shortChain: Int32

  @inlinable init() {
    offset = LabelState.unbound
    nearChain = LabelState.noField
    shortChain = LabelState.unbound
  }

  @inlinable static var unbound: Int32 { -1 }
  @inlinable static var noField: UInt32 { .max }
}
