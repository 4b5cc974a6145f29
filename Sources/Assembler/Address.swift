/// A memory operand (Intel SDM volume 2, 2.1.5 and 2.2.1): base + index × scale + displacement, an
/// absolute 32-bit address, or a place relative to the instruction pointer. Eight bytes, trivial.
@usableFromInline package struct Address: Equatable, Sendable {
  @usableFromInline enum Kind: UInt8, Sendable {
    case base, baseIndex, index, absolute, relative, label
  }

  /// Bytes added to the registers; for `.relative` the target's offset from the buffer's executable
  /// base, for `.label` the label's number.
  @usableFromInline let value: Int32
  @usableFromInline let kind: Kind
  /// The register's number, 0 where there is none, so that it adds nothing to a REX prefix.
  @usableFromInline let baseCode: UInt8
  @usableFromInline let indexCode: UInt8
  @usableFromInline let scaleCode: UInt8

  @inlinable init(kind: Kind, value: Int32, base: UInt8 = 0, index: UInt8 = 0, scale: UInt8 = 0) {
    self.kind = kind
    self.value = value
    baseCode = base
    indexCode = index
    scaleCode = scale
  }

  /// `[base + displacement]`.
  @inlinable package init(base: Register, displacement: Int32 = 0) {
    self.init(kind: .base, value: displacement, base: base.code)
  }

  /// `[base + index * scale + displacement]`; `rsp` cannot be an index.
  @inlinable package init(
    base: Register, index: Register, scale: Scale = .x1, displacement: Int32 = 0
  ) {
    precondition(index != .rsp, "rsp cannot be an index register")
    self.init(
      kind: .baseIndex, value: displacement, base: base.code, index: index.code, scale: scale.code)
  }

  /// `[index * scale + displacement]`; `rsp` cannot be an index.
  @inlinable package init(index: Register, scale: Scale, displacement: Int32 = 0) {
    precondition(index != .rsp, "rsp cannot be an index register")
    self.init(kind: .index, value: displacement, index: index.code, scale: scale.code)
  }

  /// `[absolute]`, sign-extended to 64 bits.
  @inlinable package init(absolute: Int32) {
    self.init(kind: .absolute, value: absolute)
  }

  /// `[rip + …]`, so that it names the place where `label` is or will be bound.
  @inlinable package init(_ label: Label) {
    self.init(kind: .label, value: label.id)
  }

  /// The operand `bytes` further on (a label's operand cannot be moved).
  @inlinable package func offset(by bytes: Int32) -> Address {
    precondition(kind != .label, "an operand at a label cannot be moved")
    return Address(
      kind: kind, value: value &+ bytes, base: baseCode, index: indexCode, scale: scaleCode)
  }
}
