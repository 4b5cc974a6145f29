/// An SSE register.
@usableFromInline package enum XMM: UInt8, CaseIterable, Sendable {
  case xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7
  case xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15

  /// The register's number, 0 to 15. Equal to `rawValue`, whose synthesized getter is a call from
  /// another module.
  @inlinable package var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }

  /// The register with the low four bits of `code` as its number.
  @inlinable package init(code: UInt8) { self = unsafeBitCast(code & 15, to: XMM.self) }
}
