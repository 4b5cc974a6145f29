internal import Foundation
internal import Glibc
package import HostSystem

/// What holds a machine's limits on this host.
package enum HostLimits {
  /// The disk behind a file, as `8:0`; nil when the file is on none that the kernel could hold to a limit: a file
  /// system in memory, or over several disks.
  package static func device(of path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    // makedev(3).
    let device = UInt64(status.st_dev)
    let major = (device >> 8) & 0xFFF | (device >> 32) & ~0xFFF
    let minor = device & 0xFF | (device >> 12) & ~0xFF
    guard major != 0 else { return nil }
    let entry = "/sys/dev/block/\(major):\(minor)"
    guard access(entry, F_OK) == 0 else { return nil }
    // The kernel counts what whole disks move.
    if access("\(entry)/partition", F_OK) == 0 {
      return (try? String(contentsOfFile: "\(entry)/../dev", encoding: .utf8))?
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }
    return "\(major):\(minor)"
  }

  /// Makes all threads of a process nicer. Less nice again is for root alone.
  package static func setNiceness(_ niceness: Int32, of process: Int32) throws(Errno) {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
    for thread in threads.compactMap({ UInt32($0) }) {
      errno = 0
      let now = getpriority(Int32(PRIO_PROCESS.rawValue), thread)
      // It may have ended meanwhile.
      guard errno == 0, now != niceness else { continue }
      if setpriority(Int32(PRIO_PROCESS.rawValue), thread, niceness) != 0, errno != ESRCH {
        throw Errno(errno)
      }
    }
  }

  /// The group of the unified hierarchy that a process is in, from its root.
  package static func group(of process: Int32) -> String? {
    let text = (try? String(contentsOfFile: "/proc/\(process)/cgroup", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) }
  }
}
