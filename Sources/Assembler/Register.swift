/// A general-purpose register. The names are those of the 64-bit registers; a `Width` chooses how
/// much of one an instruction uses, and an 8-bit width means the low byte (`spl`, `bpl`, `sil` and
/// `dil` for the middle ones; `ah` to `bh` are never encoded). The order is the encoding's (Intel SDM
/// volume 2, 3.1.1.1).
@usableFromInline package enum Register: UInt8, CaseIterable, Sendable {
  case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi
  case r8, r9, r10, r11, r12, r13, r14, r15

  /// The register's number, 0 to 15. Equal to `rawValue`, whose synthesized getter is a call from
  /// another module.
  @inlinable package var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }

  /// The register with the low four bits of `code` as its number.
  @inlinable package init(code: UInt8) { self = unsafeBitCast(code & 15, to: Register.self) }
}
