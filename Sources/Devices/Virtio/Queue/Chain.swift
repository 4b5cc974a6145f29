/// A request: what the driver wrote for the device to read, and the room for the answer. It is
/// completed at most once, because completing it consumes it.
package struct Chain: ~Copyable {
  /// The number by which the driver knows the request.
  let head: UInt16
  /// What the driver wrote.
  package var reader: ChainReader
  /// Where the device answers.
  package var writer: ChainWriter
}
