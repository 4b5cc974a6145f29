/// Encodings of the instructions that the tests' guests are made of (Intel SDM volume 2). In 64-bit mode, where
/// nothing else is said.
enum Code {
  enum Register: UInt8 {
    case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi
  }

  /// `mov register, value`
  static func load(_ register: Register, _ value: UInt64) -> [UInt8] {
    [0x48, 0xB8 | register.rawValue] + bytes(value, 8)
  }

  /// `out dx, al/ax/eax`
  static func out(_ width: Int) -> [UInt8] { width == 1 ? [0xEE] : width == 2 ? [0x66, 0xEF] : [0xEF] }
  /// `in al/ax/eax, dx`
  static func `in`(_ width: Int) -> [UInt8] { width == 1 ? [0xEC] : width == 2 ? [0x66, 0xED] : [0xED] }

  /// `mov dx, port; mov eax, value; out dx, …`
  static func write(port: UInt16, _ width: Int, _ value: UInt32) -> [UInt8] {
    load(.rdx, UInt64(port)) + load(.rax, UInt64(value)) + out(width)
  }

  /// `mov [rbx], al/ax/eax/rax`
  static func store(_ width: Int) -> [UInt8] { prefix(width) + [width == 1 ? 0x88 : 0x89, 0x03] }
  /// `mov al/ax/eax/rax, [rbx]`
  static func fetch(_ width: Int) -> [UInt8] { prefix(width) + [width == 1 ? 0x8A : 0x8B, 0x03] }

  /// `mov [address], value` of a width.
  static func write(address: UInt64, _ width: Int, _ value: UInt64) -> [UInt8] {
    load(.rbx, address) + load(.rax, value) + store(width)
  }

  /// `mov dword [address], value`
  static func store32(_ address: UInt64, _ value: UInt32) -> [UInt8] {
    load(.rbx, address) + [0xC7, 0x03] + bytes(UInt64(value), 4)
  }

  static let halt: [UInt8] = [0xF4]
  /// `jmp` to itself.
  static let spin: [UInt8] = [0xEB, 0xFE]
  /// `ud2`
  static let undefined: [UInt8] = [0x0F, 0x0B]
  static let cpuid: [UInt8] = [0x0F, 0xA2]
  static let enableInterrupts: [UInt8] = [0xFB]
  /// `lidt [rbx]`
  static let loadInterruptTable: [UInt8] = [0x0F, 0x01, 0x1B]
  static let returnFromInterrupt: [UInt8] = [0x48, 0xCF]
  /// `hlt`, again and again.
  static let waitForInterrupts: [UInt8] = [0xF4, 0xEB, 0xFD]

  static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }

  private static func prefix(_ width: Int) -> [UInt8] { width == 2 ? [0x66] : width == 8 ? [0x48] : [] }
}
