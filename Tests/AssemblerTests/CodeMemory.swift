import Assembler
import Glibc
import HostSystem

/// A page-aligned piece of memory that is written through one mapping and run from another.
final class CodeMemory {
  let writable: Mapping
  let executable: Mapping

  init(size: Int = 1 << 16) throws {
    let memory = try Descriptor.memory(name: "volary-assembler-tests")
    try memory.truncate(to: Int64(size))
    writable = try Mapping.map(size: size, descriptor: memory)
    executable = try Mapping.map(size: size, descriptor: memory, protection: PROT_READ | PROT_EXEC)
  }

  var buffer: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: writable.base, count: writable.size)
  }

  /// The address at which the byte at `offset` runs.
  func address(_ offset: Int = 0) -> UInt64 { UInt64(UInt(bitPattern: executable.base + offset)) }

  func assembler() -> X86Assembler {
    X86Assembler(buffer: buffer, executableBase: address())
  }

  typealias Function = @convention(c) (Int64, Int64) -> Int64
  typealias DoubleFunction = @convention(c) (Double, Double, Double) -> Double

  /// The code at `offset` as a function: arguments in rdi and rsi, result in rax.
  func function(at offset: Int = 0) -> Function {
    unsafeBitCast(executable.base + offset, to: Function.self)
  }

  /// The code at `offset` as a function of doubles in xmm0 to xmm2, with its result in xmm0.
  func doubleFunction(at offset: Int = 0) -> DoubleFunction {
    unsafeBitCast(executable.base + offset, to: DoubleFunction.self)
  }
}
