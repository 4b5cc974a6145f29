package import Foundation

/// Where a user's images and machines are kept.
package enum DataDirectory {
  /// `$VOLARY_DATA`, or `volary` under `$XDG_DATA_HOME`, which is `~/.local/share` when unset.
  ///
  /// The XDG base directory specification wants a relative path there ignored.
  package static func path(
    environment: [String: String] = ProcessInfo.processInfo.environment,
    home: URL = FileManager.default.homeDirectoryForCurrentUser
  ) -> URL {
    if let data = environment["VOLARY_DATA"], !data.isEmpty {
      return URL(fileURLWithPath: data, isDirectory: true).absoluteURL
    }
    if let shared = environment["XDG_DATA_HOME"], shared.hasPrefix("/") {
      return URL(fileURLWithPath: shared, isDirectory: true).appendingPathComponent("volary")
    }
    return home.appendingPathComponent(".local/share/volary", isDirectory: true)
  }
}
