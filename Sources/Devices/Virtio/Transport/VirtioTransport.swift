/// What a device asks of the transport that carries it. Callable from any thread.
package protocol VirtioTransport: AnyObject, Sendable {
  /// Tells the driver that buffers of a queue were used.
  func raiseUsedBuffer(queue: Int)

  /// Tells the driver that the configuration space changed. Without effect before `DRIVER_OK`.
  func raiseConfigurationChange()

  /// Latches `DEVICE_NEEDS_RESET` (virtio 1.3 §2.1.2). Only the first reason since a reset is reported.
  func needsReset(_ reason: String)

  /// A line for the log about what the guest or the host did wrong.
  func report(_ line: String)
}
