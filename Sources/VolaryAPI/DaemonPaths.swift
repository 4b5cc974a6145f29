internal import Foundation
internal import Glibc

/// Where a daemon keeps its files and where it listens, when nobody says otherwise.
package enum DaemonPaths {
  /// `$VOLARY_DATA`, or `volary` under `$XDG_DATA_HOME`, which is `~/.local/share` when unset: where
  /// `volary run` keeps its images too.
  package static var dataDirectory: String {
    let environment = ProcessInfo.processInfo.environment
    if let named = environment["VOLARY_DATA"], !named.isEmpty { return named }
    if let base = environment["XDG_DATA_HOME"], base.hasPrefix("/") { return base + "/volary" }
    return NSHomeDirectory() + "/.local/share/volary"
  }

  /// `VOLARY_SOCKET`; of root `/run/volary/volaryd.sock`, of others one below `XDG_RUNTIME_DIR`, or beside the data.
  package static var socket: String {
    let environment = ProcessInfo.processInfo.environment
    if let named = environment["VOLARY_SOCKET"], !named.isEmpty { return named }
    if environment["VOLARY_DATA"]?.isEmpty == false { return dataDirectory + "/volaryd.sock" }
    if getuid() == 0 { return "/run/volary/volaryd.sock" }
    if let base = environment["XDG_RUNTIME_DIR"], base.hasPrefix("/") { return base + "/volary/volaryd.sock" }
    return dataDirectory + "/volaryd.sock"
  }
}
