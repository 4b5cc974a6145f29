/// Why the daemon's state cannot be used. The daemon does not start then.
package enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another daemon holds the directory; its process id, when the lock file says it.
  case inUse(directory: String, pid: String?)
  /// The database was written by a newer daemon.
  case newer(path: String)
  /// The database is no database, or its pages do not hang together.
  case damaged(path: String, backup: String?, problem: String)
  /// A file or directory cannot be made or opened.
  case unusable(path: String, problem: String)

  package var description: String {
    switch self {
    case .inUse(let directory, let pid):
      return "another volaryd" + (pid.map { " (process \($0))" } ?? "") + " uses \(directory)"
    case .newer(let path):
      return
        "\(path) was written by a newer volaryd; install that version, or give another directory with --data"
    case .damaged(let path, let backup, let problem):
      guard let backup else { return "\(path) is damaged (\(problem)), and there is no backup of it" }
      return "\(path) is damaged (\(problem)); its newest backup is \(backup), to go back to it: "
        + "rm -f '\(path)-wal' '\(path)-shm' && cp '\(backup)' '\(path)'"
    case .unusable(let path, let problem): return "\(path) cannot be used: \(problem)"
    }
  }
}
