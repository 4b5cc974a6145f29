import Foundation
import Glibc

/// Processes by who started them, from /proc.
enum ProcessTree {
  /// Sends SIGKILL to all that descend from this process.
  static func killDescendants() {
    var children: [pid_t: [pid_t]] = [:]
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let process = pid_t(name), let parent = parent(of: process) else { continue }
      children[parent, default: []].append(process)
    }
    var queue = children[getpid()] ?? []
    while let process = queue.popLast() {
      kill(process, SIGKILL)
      queue += children[process] ?? []
    }
  }

  /// The fourth field of /proc/PID/stat (proc(5)); the second, in brackets, can hold anything.
  private static func parent(of process: pid_t) -> pid_t? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return nil }
    let text = String(decoding: data, as: UTF8.self)
    guard let bracket = text.lastIndex(of: ")") else { return nil }
    return text[bracket...].split(separator: " ").dropFirst(2).first.flatMap { pid_t($0) }
  }
}
