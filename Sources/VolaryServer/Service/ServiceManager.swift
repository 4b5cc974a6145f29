internal import Foundation
internal import Glibc
internal import HostSystem

/// What the daemon has to do with systemd, where that runs it.
package enum ServiceManager {
  /// Which of the managers runs the daemon, as its unit says in `VOLARY_SERVICE`.
  package enum Kind: String, Sendable, CaseIterable {
    case system, user
  }

  static let variable = "VOLARY_SERVICE"
  private static let notifySocket = "NOTIFY_SOCKET"

  static var kind: Kind? {
    ProcessInfo.processInfo.environment[variable].flatMap(Kind.init)
  }

  /// Says how far the daemon is (sd_notify(3)): a datagram to the socket that the manager named, if one did.
  package static func notify(
    _ state: String, environment: [String: String] = ProcessInfo.processInfo.environment
  ) {
    guard let name = environment[notifySocket], name.hasPrefix("/") || name.hasPrefix("@") else { return }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { return }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // A name that begins with @ is abstract: a zero in its place (unix(7)).
    let bytes = name.hasPrefix("@") ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard bytes.count < room else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let message = Array(state.utf8)
    withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
      }
    }
  }

  /// Keeps machines from being taken for the daemon: they would inherit the socket's name.
  static func forgetSocket() { unsetenv(notifySocket) }

  /// Whether the daemon ends because the host goes down, and not for a restart of its own.
  static func isHostGoingDown() -> Bool {
    guard let kind else { return false }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["systemctl"] + (kind == .user ? ["--user"] : []) + ["is-system-running"]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    let words = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: words, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
      == "stopping"
  }
}
