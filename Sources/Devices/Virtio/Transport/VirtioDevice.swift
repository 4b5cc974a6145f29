package import HostSystem

/// What a driver that says `DRIVER_OK` hands to a device.
package struct VirtioActivation: Sendable {
  /// The queues that the driver made ready, by index; nil for those it left alone.
  package let queues: [LiveQueue?]
  /// The features both sides agreed on.
  package let features: VirtioFeatures
  package let transport: any VirtioTransport
  /// The driver did not say so now: it did before a snapshot, from which the device goes on.
  package let isResumed: Bool
}

/// A virtio device without its transport.
///
/// The transport calls ``activate(_:)``, ``stop(queue:)``, ``reset()`` and ``stop()`` one at a time;
/// the other members from any thread.
package protocol VirtioDevice: AnyObject, Sendable {
  /// The device's name in logs.
  var name: String { get }
  var deviceID: VirtioDeviceID { get }
  /// What the device offers of its own; the transport adds what every queue can do.
  var features: VirtioFeatures { get }
  /// The most descriptors of each queue: powers of two, at most 32768. At most 64 queues.
  var queueMaximums: [UInt16] { get }
  var configuration: ConfigurationSpace { get }

  /// Takes a driver's write to the configuration space.
  func writeConfiguration(offset: Int, width: Int, value: UInt64) throws(BusFault)

  /// Whether the device can work with these features, a part of what was offered.
  func accepts(_ features: VirtioFeatures) -> Bool

  /// Starts work on the queues. Throws when the host refuses what the device needs.
  func activate(_ activation: VirtioActivation) throws(Errno)

  /// The driver made buffers available. Never blocks.
  func notify(queue: Int)

  /// A counter whose signals do what ``notify(queue:)`` does, for hosts that see notifications in our place; nil
  /// where the device has none. The same whenever it is asked for.
  func doorbell(queue: Int) throws(Errno) -> EventCounter?

  /// A counter that is signalled when buffers of a queue were used, by someone else who works on the queue in the
  /// device's place; nil where the device does it. A host may take the signals and interrupt the driver (irqfd); those
  /// that it leaves, the device passes on to the transport. The same whenever it is asked for.
  func usedBufferCounter(queue: Int) -> EventCounter?

  /// Finishes what it works on and does nothing more until ``release()``: the queues and guest memory are left as
  /// they are when it returns. What the driver and the host want meanwhile waits.
  func hold()

  /// Goes on after ``hold()``.
  func release()

  /// Leaves one queue alone from now on.
  func stop(queue: Int)

  /// Back to before activation. When it returns, no request is in flight, and the queues of the last
  /// activation are touched no more.
  func reset()

  /// As ``reset()``, for good.
  func stop()
}

extension VirtioDevice {
  package func writeConfiguration(offset: Int, width: Int, value: UInt64) throws(BusFault) {
    throw .forbidden
  }

  package func accepts(_ features: VirtioFeatures) -> Bool { true }

  package func doorbell(queue: Int) throws(Errno) -> EventCounter? { nil }

  package func usedBufferCounter(queue: Int) -> EventCounter? { nil }
  package func hold() {}
  package func release() {}
}
