internal import Devices
internal import GuestMemory
internal import HostSystem
internal import KVM
internal import Synchronization

/// Has KVM interrupt the driver when someone outside this process has used buffers of a queue (irqfd), such as the
/// kernel in a device's place.
///
/// A queue's counter is joined to a GSI whose route is the queue's message, for as long as that may be sent. While it
/// may not, because it is masked or there is none, the counter's signals are left to the device, by which they become a
/// pending bit or a wire's level.
final class VirtioInterrupts: Sendable {
  private struct Joint {
    let counter: EventCounter
    let gsi: Int
    var message: MSIMessage?
    var isJoined = false
  }

  private struct State {
    weak var transport: VirtioPCITransport?
    /// By queue; those that had a message yet.
    var joints: [Int: Joint] = [:]
  }

  private let machine: KVMMachine
  private let report: @Sendable (String) -> Void
  private let state = Mutex(State())

  init(_ machine: KVMMachine, report: @escaping @Sendable (String) -> Void) {
    self.machine = machine
    self.report = report
  }

  /// Names the transport whose queues these are. Before the machine runs.
  func connect(to transport: VirtioPCITransport) { state.withLock { $0.transport = transport } }

  /// Brings the joints to what messages are now. From any thread; when it returns, no message of before is sent any more.
  func move() {
    state.withLock { state in
      guard let transport = state.transport else { return }
      for queue in 0..<transport.queueCount {
        guard let counter = transport.device.usedBufferCounter(queue: queue) else { continue }
        let message = transport.message(ofQueue: queue)
        do throws(KVMError) { try move(&state.joints[queue], counter, to: message) } catch {
          report("a queue's interrupts take the long way: \(error)")
        }
      }
    }
  }

  private func move(_ joint: inout Joint?, _ counter: EventCounter, to message: MSIMessage?) throws(KVMError)
  {
    guard let message else {
      guard let old = joint, old.isJoined else { return }
      joint?.isJoined = false
      return try machine.detachInterrupt(counter, gsi: old.gsi)
    }
    if joint == nil {
      guard let gsi = machine.allocateGSI() else { return }
      joint = Joint(counter: counter, gsi: gsi)
    }
    guard let known = joint else { return }
    // Routes are slow to change in the kernel, so that they stay while a message is masked.
    if known.message != message {
      try machine.setRoute(known.gsi, message)
      joint?.message = message
    }
    guard !known.isJoined else { return }
    try machine.attachInterrupt(counter, gsi: known.gsi)
    joint?.isJoined = true
  }
}
