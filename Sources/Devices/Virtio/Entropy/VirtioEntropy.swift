internal import Glibc
package import HostSystem

/// A source of random bytes (virtio 1.3 §5.4): the host kernel's own.
package final class VirtioEntropy: WorkerDevice {
  /// The most bytes of one answer; a driver that wants more asks again.
  static let answerLimit = 64 << 10

  package let name: String
  package let deviceID = VirtioDeviceID.entropy
  package let features: VirtioFeatures = []
  package let queueMaximums: [UInt16] = [8]
  package let configuration = ConfigurationSpace(size: 0)
  let worker: VirtioWorker

  package init(name: String = "virtio-entropy") throws(Errno) {
    self.name = name
    worker = try VirtioWorker(name: name)
  }

  func makeSession(_ context: SessionContext) -> any VirtioSession { EntropySession(context: context) }
}

/// Fills the driver's buffers, one after the other.
private final class EntropySession: VirtioSession {
  private let context: SessionContext

  init(context: SessionContext) { self.context = context }

  func process(queue index: Int) throws(QueueError) {
    guard let queue = context.queue(index) else { return }
    defer { context.signal(queue) }
    repeat {
      queue.suppressNotifications()
      while var chain = try queue.next() {
        chain.writer.withBuffers(VirtioEntropy.answerLimit, Self.fill)
        let written = chain.writer.written
        queue.complete(chain, written: written)
        if context.isWanted { return context.reschedule(queue) }
      }
    } while queue.allowNotifications()
  }

  /// Fills buffers with random bytes, up to where the host refuses, and returns how many it filled.
  private static func fill(_ buffers: [UnsafeMutableRawBufferPointer]) -> Int {
    let atOnce = 256  // getentropy(3) gives no more in one call.
    var filled = 0
    for buffer in buffers {
      for start in stride(from: 0, to: buffer.count, by: atOnce) {
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<min(start + atOnce, buffer.count)])
        guard getentropy(part.baseAddress, part.count) == 0 else { return filled }
        filled += part.count
      }
    }
    return filled
  }
}
