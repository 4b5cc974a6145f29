internal import Assembler

/// What generated code uses the host's registers for.
///
/// | register | use |
/// | --- | --- |
/// | rbp | the CPU's ``Context`` |
/// | r14 | the current ``AddressView`` |
/// | rsp | the host stack |
/// | rax, rcx, rdx | scratch within one guest instruction |
/// | the others | guest registers, the same at every block's start and end |
enum HostRegisters {
  static let context = Register.rbp
  static let view = Register.r14

  /// Host registers that hold guest registers, in the order in which they are given out. Those first
  /// need no prefix byte.
  static let pins: [Register] = [.rbx, .rsi, .rdi, .r8, .r9, .r10, .r11, .r12, .r13, .r15]
}
