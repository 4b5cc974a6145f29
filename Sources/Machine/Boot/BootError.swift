/// Why a guest cannot be loaded; each is a line that names the thing and the way out.
package enum BootError: Error, Equatable, Sendable, CustomStringConvertible {
  case notAKernel(String)
  case notAnAMD64Kernel(String)
  case bootProtocolTooOld(UInt16)
  case compressedKernel(String)
  case unsupportedCompression(String)
  case cannotDecompress(String, String)
  case damagedKernel(String)
  case kernelTooShort(bytes: Int)
  case kernelDoesNotFit(needed: UInt64, memory: UInt64)
  case initrdDoesNotFit(needed: UInt64, memory: UInt64)
  case commandLineTooLong(bytes: Int, limit: Int)
  /// A file that firmware was to be in, and what is wrong with it.
  case notFirmware(String, String)
  /// The board has no firmware to start without a kernel.
  case noKernel
  case cannotRead(String, String)
  case hostRefused(String, String)

  package var description: String {
    switch self {
    case .notAKernel(let found):
      "the kernel is not a riscv64 Linux Image (\(found)): give an uncompressed Image, as Debian's /boot/vmlinux-*"
    case .notAnAMD64Kernel(let found):
      "the kernel is not one for amd64 (\(found)): give a bzImage, as Debian's /boot/vmlinuz-*, or its vmlinux"
    case .bootProtocolTooOld(let version):
      "the kernel's boot protocol is \(version >> 8).\(version & 0xFF), older than 2.12: give Linux 3.8 or later"
    case .compressedKernel(let format):
      "the kernel is compressed with \(format): give the uncompressed Image"
    case .unsupportedCompression(let format):
      "the kernel is compressed with \(format), which is not supported: build it with gzip, xz, zstd or LZ4"
    case .cannotDecompress(let format, let why):
      "the kernel, compressed with \(format), cannot be unpacked: \(why)"
    case .damagedKernel(let what): "the kernel is damaged: \(what)"
    case .kernelTooShort(let bytes):
      "the kernel has only \(bytes) bytes, less than its own header says: the file is truncated"
    case .kernelDoesNotFit(let needed, let memory):
      "the kernel needs \(needed >> 20) MiB of memory and the machine has \(memory >> 20) MiB: raise --memory"
    case .initrdDoesNotFit(let needed, let memory):
      "kernel and initrd need \(needed >> 20) MiB of memory and the machine has \(memory >> 20) MiB: raise --memory"
    case .commandLineTooLong(let bytes, let limit):
      "the kernel's command line has \(bytes) bytes and the kernel takes \(limit): shorten --append"
    case .notFirmware(let what, let why):
      "\(what) cannot be used: \(why); Debian's package ovmf has firmware and variables"
    case .noKernel: "the board starts nothing by itself: give it a kernel"
    case .cannotRead(let what, let why): "\(what) cannot be read: \(why)"
    case .hostRefused(let what, let why): "\(what): \(why)"
    }
  }
}
