internal import Foundation
internal import Glibc

/// Where a daemon keeps its files and where it listens, when nobody says otherwise.
package enum DaemonPaths {
  /// `$VOLARY_DATA`, or `volary` under `$XDG_DATA_HOME`, which is `~/.local/share` when unset: where
  /// `volary run` keeps its images too.
  package static var dataDirectory: String {
    let environment = ProcessInfo.processInfo.environment
    if let named = environment["VOLARY_DATA"], !named.isEmpty { return absolute(named) }
    if let base = environment["XDG_DATA_HOME"], base.hasPrefix("/") { return base + "/volary" }
    return NSHomeDirectory() + "/.local/share/volary"
  }

  /// The socket of the host's daemon, root's.
  package static let hostSocket = "/run/volary/volaryd.sock"

  /// Where commands look for a daemon: ``ownSocket``, unless the host has a daemon whose socket this user may use and
  /// nothing says otherwise.
  package static var socket: String {
    let environment = ProcessInfo.processInfo.environment
    let isChosen = ["VOLARY_SOCKET", "VOLARY_DATA"].contains { environment[$0]?.isEmpty == false }
    return !isChosen && access(hostSocket, R_OK | W_OK) == 0 ? hostSocket : ownSocket
  }

  /// A path from where this process is.
  package static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }

  /// Where a daemon of this user listens: `VOLARY_SOCKET`; of root `/run/volary/volaryd.sock`, of others one below `XDG_RUNTIME_DIR`, or beside the data.
  package static var ownSocket: String {
    let environment = ProcessInfo.processInfo.environment
    if let named = environment["VOLARY_SOCKET"], !named.isEmpty { return absolute(named) }
    if environment["VOLARY_DATA"]?.isEmpty == false { return dataDirectory + "/volaryd.sock" }
    if getuid() == 0 { return hostSocket }
    if let base = environment["XDG_RUNTIME_DIR"], base.hasPrefix("/") { return base + "/volary/volaryd.sock" }
    return dataDirectory + "/volaryd.sock"
  }
}
