/// Why a dirty log cannot be kept, as one line.
package struct DirtyLogError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// Whoever writes guest memory without reporting each write: an engine's CPUs, a device that the kernel plays.
///
/// There are two kinds. One keeps an account of its own and hands it in (``reportWrites()``); the other reports the
/// first write to a page and then writes it without asking, until that right is taken away (``dropWriteRights()``).
package protocol DirtyPageSource: AnyObject, Sendable {
  /// Begins to keep account.
  func startNotingWrites() throws(DirtyLogError)

  /// Sets ``GuestMemory/PageFlag/dirty`` of all pages that were written since the last call; writes that come later
  /// are for the next call. Called before the flags are read.
  func reportWrites() throws(DirtyLogError)

  /// Makes sure that the next write to any page sets its flag again. Called after the flags were cleared; when it
  /// returns, nobody writes by a right from before.
  func dropWriteRights()

  /// Ends the account.
  func stopNotingWrites() throws(DirtyLogError)
}

extension DirtyPageSource {
  package func startNotingWrites() throws(DirtyLogError) {}
  package func reportWrites() throws(DirtyLogError) {}
  package func dropWriteRights() {}
  package func stopNotingWrites() throws(DirtyLogError) {}
}
