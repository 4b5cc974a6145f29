/// Why a guest cannot be loaded; each is a line that names the thing and the way out.
package enum BootError: Error, Equatable, Sendable, CustomStringConvertible {
  case notAKernel(String)
  case compressedKernel(String)
  case kernelTooShort(bytes: Int)
  case kernelDoesNotFit(needed: UInt64, memory: UInt64)
  case initrdDoesNotFit(needed: UInt64, memory: UInt64)
  case cannotRead(String, String)

  package var description: String {
    switch self {
    case .notAKernel(let found):
      "the kernel is not a riscv64 Linux Image (\(found)): give an uncompressed Image, as Debian's /boot/vmlinux-*"
    case .compressedKernel(let format):
      "the kernel is compressed with \(format): give the uncompressed Image"
    case .kernelTooShort(let bytes):
      "the kernel has only \(bytes) bytes, less than its own header says: the file is truncated"
    case .kernelDoesNotFit(let needed, let memory):
      "the kernel needs \(needed >> 20) MiB of memory and the machine has \(memory >> 20) MiB: raise --memory"
    case .initrdDoesNotFit(let needed, let memory):
      "kernel and initrd need \(needed >> 20) MiB of memory and the machine has \(memory >> 20) MiB: raise --memory"
    case .cannotRead(let what, let why): "\(what) cannot be read: \(why)"
    }
  }
}
