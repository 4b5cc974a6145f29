internal import Glibc
internal import HostSystem

/// The end of a file of lines that programs write.
package enum LogTail {
  private static let mostBytes = 64 << 10
  /// Bytes that a file may have before it is cut.
  package static let bound = 1 << 20

  /// Cuts a file that has become larger than ``bound``: its end stays. Programs go on writing behind it, if they append.
  /// What one writes in the moment between may be lost.
  package static func cut(_ path: String) throws {
    let file = try Descriptor.open(path, O_RDWR | O_APPEND)
    let size = try file.size()
    if size <= Int64(bound) { return }
    var bytes = [UInt8](repeating: 0, count: mostBytes)
    let start = Int(size) - mostBytes
    let length = try retrying {
      bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, start) }
    }
    // From the first whole line on.
    let end = bytes.prefix(length)
    let tail = end.firstIndex(of: UInt8(ascii: "\n")).map { end[($0 + 1)...] } ?? end
    try file.truncate(to: 0)
    try (Array("... what came before is gone ...\n".utf8) + tail).withUnsafeBytes { try file.writeAll($0) }
  }

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
