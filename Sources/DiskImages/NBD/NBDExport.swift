/// What a server says of an export.
///
/// After a lost connection it has to say the same again: an export that is otherwise is another disk.
struct NBDExport: Equatable, Sendable {
  /// Bytes.
  var size: UInt64
  var isReadOnly: Bool
  var canFlush: Bool
  /// Writes can be made durable one by one.
  var canForce: Bool
  var canTrim: Bool
  var canZero: Bool
  /// It tells what is zero (base:allocation).
  var tellsExtents: Bool
  /// What offsets and lengths have to be multiples of, in bytes: a power of two.
  var alignment: UInt64
  /// Bytes of data that one request may have.
  var mostBytes: UInt64

  /// What the protocol has clients do for servers that say nothing: sectors, and no more than 32 MiB.
  static let usualAlignment: UInt64 = 512
  static let usualMostBytes: UInt64 = 32 << 20
  /// The largest that the protocol lets a server ask for.
  static let largestAlignment: UInt64 = 64 << 10
}
