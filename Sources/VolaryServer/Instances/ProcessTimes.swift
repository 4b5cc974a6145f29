internal import Foundation
internal import Glibc

/// What the host's kernel says of a process (proc(5)).
enum ProcessTimes {
  /// Nanoseconds of processor time that it has used; 0 when it is gone.
  static func processorTime(of process: Int32) -> Int64 {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return 0 }
    // Behind the name come fields from the third on; the 14th and 15th are user and system time in ticks.
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else { return 0 }
    return (user + system) * (1_000_000_000 / Int64(sysconf(Int32(_SC_CLK_TCK))))
  }
}
