internal import Glibc

/// How much host memory this process has in use. Opened before the sandbox closes, read at any time.
package final class ResidentMemory: Sendable {
  private let file: Descriptor

  package init() throws(Errno) { file = try Descriptor.open("/proc/self/statm", O_RDONLY) }

  /// Bytes in use, shared ones included (proc(5), statm's second field); 0 when the host does not say.
  package var bytes: UInt64 {
    var text = [UInt8](repeating: 0, count: 128)
    let count = text.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
    guard count > 0 else { return 0 }
    let fields = text[..<count].split(separator: UInt8(ascii: " "))
    guard fields.count > 1, let pages = UInt64(String(decoding: fields[1], as: UTF8.self)) else { return 0 }
    return pages * UInt64(getpagesize())
  }
}
