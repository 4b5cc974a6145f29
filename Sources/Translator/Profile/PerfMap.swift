package import HostSystem

/// The file that tells perf(1) what lies where in generated code: a line `START SIZE name` for each piece, numbers in
/// hexadecimal (tools/perf/Documentation/jit-interface.txt in Linux). perf looks for it at `/tmp/perf-PID.map`.
package final class PerfMap: @unchecked Sendable {  // under the code store's lock
  private let file: Descriptor
  private var pending: [UInt8] = []
  /// Lines for what stays when the arena is emptied.
  private var fixed: [UInt8] = []

  /// `file` is open for writing, and empty.
  package init(_ file: Descriptor) {
    self.file = file
    pending.reserveCapacity(Self.room)
  }

  deinit { flush() }

  private static let room = 64 << 10

  func add(address: UnsafeRawPointer, size: Int, name: String) {
    append(Self.line(address, size, name))
  }

  func addFixed(address: UnsafeRawPointer, size: Int, name: String) {
    let line = Self.line(address, size, name)
    fixed += line
    append(line)
  }

  private static func line(_ address: UnsafeRawPointer, _ size: Int, _ name: String) -> [UInt8] {
    Array("\(String(UInt(bitPattern: address), radix: 16)) \(String(size, radix: 16)) \(name)\n".utf8)
  }

  private func append(_ line: [UInt8]) {
    if pending.count + line.count > Self.room { flush() }
    pending += line
  }

  /// Starts over: addresses are used again, and perf can keep but one name for each.
  func restart() {
    pending.removeAll(keepingCapacity: true)
    try? file.truncate(to: 0)
    append(fixed)
  }

  /// Writes what is held back. A file that cannot be written is no reason to disturb the machine.
  func flush() {
    pending.withUnsafeBytes { bytes in
      do throws(Errno) { try file.writeAll(bytes) } catch {}
    }
    pending.removeAll(keepingCapacity: true)
  }
}
