internal import HostSystem

/// What a session works with: its queues, its transport, the descriptors it watches. Confined to the
/// worker's thread.
final class SessionContext {
  let queues: [LiveQueue?]
  let features: VirtioFeatures
  let transport: any VirtioTransport
  /// The driver goes on from a snapshot, and knows nothing of a new beginning.
  let isResumed: Bool
  private let worker: VirtioWorker
  private var watched: [Int32: Poller.Interest] = [:]

  init(_ activation: VirtioActivation, worker: VirtioWorker) {
    queues = activation.queues
    features = activation.features
    transport = activation.transport
    isResumed = activation.isResumed
    self.worker = worker
  }

  func queue(_ index: Int) -> LiveQueue? { index < queues.count ? queues[index] : nil }

  /// Shows the driver what was completed, and interrupts it if it wants that.
  func signal(_ queue: LiveQueue) {
    queue.publish()
    if queue.shouldInterrupt() { transport.raiseUsedBuffer(queue: queue.index) }
  }

  /// Whether the host waits for the worker, as for a reset: time to leave a long loop, after
  /// ``reschedule(_:)`` if there is more to do.
  var isWanted: Bool { worker.isWanted }

  /// Has a queue processed again, after whatever else waits.
  func reschedule(_ queue: LiveQueue) { worker.notify(queue: queue.index) }

  /// Sets for what a descriptor is watched; for nothing (`[]`), a hang-up goes unnoticed too.
  func watch(_ descriptor: Descriptor, for interest: Poller.Interest, token: UInt64) {
    let old = watched[descriptor.raw] ?? []
    guard interest != old else { return }
    do {
      if interest.isEmpty {
        watched[descriptor.raw] = nil
        try worker.poller.remove(descriptor.raw)
      } else {
        watched[descriptor.raw] = interest
        if old.isEmpty {
          try worker.poller.add(descriptor.raw, interest, token: token)
        } else {
          try worker.poller.modify(descriptor.raw, interest, token: token)
        }
      }
    } catch {
      transport.report("cannot watch a descriptor: \(error)")
    }
  }

  /// Watches nothing any more.
  func close() {
    for raw in watched.keys { try? worker.poller.remove(raw) }
    watched = [:]
  }
}
