internal import Foundation
internal import Glibc

/// The file of the daemon's Unix socket.
struct SocketFile: Sendable {
  let path: String
  /// Whose members may connect beside this user's processes.
  var group: UInt32?

  /// Makes room for the socket: its directory is there, and no other daemon listens at its path. What a dead
  /// daemon left is taken away.
  func prepare() throws(StoreError) {
    // sockaddr_un holds 108 bytes with the zero at the end (unix(7)).
    if path.utf8.count > 107 {
      throw .unusable(
        path: path, problem: "the path of a socket has at most 107 bytes; give another with --socket")
    }
    let directory = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true,
        attributes: [.posixPermissions: group == nil ? 0o700 : 0o755])
    } catch { throw .unusable(path: directory, problem: error.localizedDescription) }
    // Of a link, the link's own.
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else { return }
    guard attributes[.type] as? FileAttributeType == .typeSocket else {
      throw .unusable(path: path, problem: "it is a file and no socket")
    }
    if isAnswered { throw .unusable(path: path, problem: "another daemon listens there") }
    unlink(path)
  }

  /// Only this user's processes may connect, and those of the group.
  func restrict() {
    if let group { chown(path, uid_t.max, group) }
    chmod(path, group == nil ? 0o600 : 0o660)
  }

  func remove() { unlink(path) }

  private var isAnswered: Bool {
    let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    if socket < 0 { return false }
    defer { close(socket) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }
}
