/// One instruction of the classic BPF machine that seccomp filters are written for
/// (linux/bpf_common.h). It has an accumulator, and here it reads `struct seccomp_data`.
package struct BPFInstruction: Equatable, Sendable {
  package let code: UInt16
  /// Instructions to skip when a jump's test holds.
  package let jumpTrue: UInt8
  /// Instructions to skip when it does not.
  package let jumpFalse: UInt8
  package let k: UInt32

  private init(_ code: UInt16, _ k: UInt32, jumpTrue: UInt8 = 0, jumpFalse: UInt8 = 0) {
    self.code = code
    self.jumpTrue = jumpTrue
    self.jumpFalse = jumpFalse
    self.k = k
  }

  /// Loads the 32-bit word at a byte offset into the accumulator (BPF_LD | BPF_W | BPF_ABS).
  package static func load(_ offset: UInt32) -> BPFInstruction { BPFInstruction(0x20, offset) }

  /// Keeps the accumulator's bits of `mask` (BPF_ALU | BPF_AND | BPF_K).
  package static func and(_ mask: UInt32) -> BPFInstruction { BPFInstruction(0x54, mask) }

  /// Skips `then` instructions if the accumulator equals `value` (BPF_JMP | BPF_JEQ | BPF_K).
  package static func skip(_ then: UInt8, ifEqual value: UInt32) -> BPFInstruction {
    BPFInstruction(0x15, value, jumpTrue: then)
  }

  /// Skips `otherwise` instructions unless the accumulator equals `value` (BPF_JMP | BPF_JEQ | BPF_K).
  package static func skip(_ otherwise: UInt8, unlessEqual value: UInt32) -> BPFInstruction {
    BPFInstruction(0x15, value, jumpFalse: otherwise)
  }

  /// Skips `otherwise` instructions unless the accumulator is `value` or more (BPF_JMP | BPF_JGE | BPF_K).
  package static func skip(_ otherwise: UInt8, unlessAtLeast value: UInt32) -> BPFInstruction {
    BPFInstruction(0x35, value, jumpFalse: otherwise)
  }

  /// Ends the filter with an action (BPF_RET | BPF_K).
  package static func end(_ action: SystemCallPolicy.Action) -> BPFInstruction {
    BPFInstruction(0x06, action.word)
  }
}
