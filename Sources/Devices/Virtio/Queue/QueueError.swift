/// How a driver broke a queue. The queue then stays broken until the device is reset.
package enum QueueError: Error, Equatable, Sendable {
  /// The size is no power of two, or zero, or above the device's maximum.
  case badSize(UInt32)
  /// An area is not aligned as virtio 1.3 §2.7 asks.
  case misaligned(address: UInt64)
  /// An area, a table or a buffer is not RAM.
  case outsideMemory(address: UInt64, count: UInt64)
  /// The available index moved by more than the queue holds.
  case indexJump(from: UInt16, to: UInt16)
  /// More chains are in flight than the queue holds: one was made available twice.
  case tooManyChains
  /// A descriptor's number is beyond its table.
  case badDescriptor(UInt16)
  /// The chain is longer than the queue, or runs in a circle.
  case chainTooLong
  /// The chain's buffers hold 4 GiB or more.
  case bufferTooLarge
  /// A buffer for the device to read comes after one for it to write.
  case readableAfterWritable
  /// An indirect descriptor where the feature was not agreed on, within a table, or with a successor.
  case badIndirect
  /// An indirect table's size is no multiple of a descriptor's, is zero, or exceeds the queue's.
  case badIndirectSize(UInt32)
  /// The chain lacks room that its kind of device always needs.
  case bufferTooSmall
}
