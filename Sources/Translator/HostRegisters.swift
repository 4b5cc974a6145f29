internal import Assembler

/// What generated code uses the host's registers for.
///
/// | register | use |
/// | --- | --- |
/// | rbp | the CPU's ``Context`` |
/// | r14 | the current ``AddressView`` |
/// | rsp | the host stack |
/// | rax, rcx, rdx | scratch within one guest instruction |
/// | xmm0, xmm1, xmm2 | scratch within one guest instruction |
/// | the others | guest registers, the same at every block's start and end |
///
/// The SSE registers and MXCSR are the guest's only in blocks whose key says that they use floating point
/// (``BlockKeyBit/usesFloat``).
enum HostRegisters {
  static let context = Register.rbp
  static let view = Register.r14

  /// Host registers that hold guest registers, in the order in which they are given out. Those first
  /// need no prefix byte.
  static let pins: [Register] = [.rbx, .rsi, .rdi, .r8, .r9, .r10, .r11, .r12, .r13, .r15]

  /// The same for floating-point registers.
  static let floatPins: [XMM] = [
    .xmm3, .xmm4, .xmm5, .xmm6, .xmm7, .xmm8, .xmm9, .xmm10, .xmm11, .xmm12, .xmm13, .xmm14, .xmm15,
  ]
}
