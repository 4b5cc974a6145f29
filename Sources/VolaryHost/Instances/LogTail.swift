internal import Glibc
internal import HostSystem

/// The end of a file of lines that programs write.
package enum LogTail {
  private static let mostBytes = 64 << 10

  /// The last lines of a file, harmless to a terminal; none when it cannot be read.
  package static func last(_ count: Int, of path: String) -> [String] {
    guard let file = try? Descriptor.open(path, O_RDONLY), let size = try? file.size() else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int(min(size, Int64(mostBytes))))
    let start = Int(size) - bytes.count
    let length = bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, start) }
    var log = ConsoleLog()
    log.append(bytes.prefix(max(0, length)))
    return log.last(count)
  }
}
