internal import Synchronization

/// What has passed through a network card, as its driver sees it: frames without their headers of virtio.
package struct NetworkActivity: Equatable, Sendable {
  package var framesReceived: UInt64
  package var bytesReceived: UInt64
  package var framesSent: UInt64
  package var bytesSent: UInt64

  package init(
    framesReceived: UInt64 = 0, bytesReceived: UInt64 = 0, framesSent: UInt64 = 0, bytesSent: UInt64 = 0
  ) {
    self.framesReceived = framesReceived
    self.bytesReceived = bytesReceived
    self.framesSent = framesSent
    self.bytesSent = bytesSent
  }
}

/// Counts it: the device's worker alone, while any thread may ask.
final class NetworkCounters: Sendable {
  private let framesReceived = Atomic<UInt64>(0)
  private let bytesReceived = Atomic<UInt64>(0)
  private let framesSent = Atomic<UInt64>(0)
  private let bytesSent = Atomic<UInt64>(0)

  func countReceived(bytes: Int) {
    framesReceived.wrappingAdd(1, ordering: .relaxed)
    bytesReceived.wrappingAdd(UInt64(bytes), ordering: .relaxed)
  }

  func countSent(bytes: Int) {
    framesSent.wrappingAdd(1, ordering: .relaxed)
    bytesSent.wrappingAdd(UInt64(bytes), ordering: .relaxed)
  }

  var activity: NetworkActivity {
    NetworkActivity(
      framesReceived: framesReceived.load(ordering: .relaxed),
      bytesReceived: bytesReceived.load(ordering: .relaxed), framesSent: framesSent.load(ordering: .relaxed),
      bytesSent: bytesSent.load(ordering: .relaxed))
  }
}
