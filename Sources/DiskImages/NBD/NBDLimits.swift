/// What a server may take of time and memory. Times are in milliseconds.
package struct NBDLimits: Sendable {
  /// From a connected socket to an export that can be used.
  package var handshake: UInt64 = 20_000
  /// A connection on which something is asked and nothing comes for that long is lost.
  package var silence: UInt64 = 30_000
  /// A request that is not answered by then fails, over however many connections it was tried.
  package var request: UInt64 = 120_000
  /// Between two attempts to connect again, at first and at most; it doubles.
  package var firstPause: UInt64 = 100
  package var longestPause: UInt64 = 3_000
  /// Bytes of changes that are kept until they are flushed (``NBDLog``).
  package var unflushed = 32 << 20

  package init() {}
}
