internal import Logging

/// A part of the daemon: it brings routes, and has a beginning and an end.
package protocol DaemonPart: RouteGroup {
  /// Before the first request: what is there is found again. Throwing keeps the daemon from starting.
  func start() async throws
  /// When the daemon ends, before its connections do.
  func stop() async
}

extension DaemonPart {
  package func start() async throws {}
  package func stop() async {}
}
