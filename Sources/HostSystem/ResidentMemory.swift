internal import Glibc

/// How much host memory this process has in use. Opened before the sandbox closes, read at any time.
package final class ResidentMemory: Sendable {
  private let file: Descriptor

  package init() throws(Errno) { file = try Descriptor.open("/proc/self/statm", O_RDONLY) }

  /// Bytes in use, shared ones included as often as they are mapped (proc(5), statm's second field); 0 when the host
  /// does not say.
  package var bytes: UInt64 { fields.resident }

  /// Bytes of this process alone, without files and shared memory.
  package var ownBytes: UInt64 {
    let fields = fields
    return fields.resident - min(fields.shared, fields.resident)
  }

  private var fields: (resident: UInt64, shared: UInt64) {
    var text = [UInt8](repeating: 0, count: 128)
    let count = text.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
    guard count > 0 else { return (0, 0) }
    let pages = text[..<count].split(separator: UInt8(ascii: " ")).map {
      UInt64(String(decoding: $0, as: UTF8.self)) ?? 0
    }
    guard pages.count > 2 else { return (0, 0) }
    let size = UInt64(getpagesize())
    return (pages[1] * size, pages[2] * size)
  }
}
