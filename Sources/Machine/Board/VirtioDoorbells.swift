internal import Devices
internal import HostSystem
internal import KVM
internal import Synchronization

/// Has KVM take a driver's notifications in the CPUs' place (ioeventfd): the CPU goes on at once, and the device's
/// worker wakes up without a way through this process.
///
/// There is a doorbell for each queue that the device works on, at the address where the driver notifies it, for as
/// long as it is there. What is not to be had goes by the bus, as it does without doorbells.
final class VirtioDoorbells: Sendable {
  private struct State {
    weak var transport: VirtioPCITransport?
    /// The doorbells that hang, by queue.
    var hung: [Int: (doorbell: Doorbell, counter: EventCounter)] = [:]
  }

  private let machine: KVMMachine
  private let report: @Sendable (String) -> Void
  /// Bytes of the writes that ring: any number where KVM can tell by the address alone, which it does faster.
  private let width: Int
  private let state = Mutex(State())

  init(_ machine: KVMMachine, report: @escaping @Sendable (String) -> Void) {
    self.machine = machine
    self.report = report
    width = machine.system.value(of: .anyWidthDoorbells) > 0 ? 0 : 2
  }

  /// Names the transport whose queues these are. Before the machine runs.
  func connect(to transport: VirtioPCITransport) { state.withLock { $0.transport = transport } }

  /// Hangs doorbells where they belong now. From any thread.
  func move() {
    state.withLock { state in
      guard let transport = state.transport else { return }
      for queue in 0..<transport.queueCount {
        let wanted = transport.doorbellAddress(ofQueue: queue).map { Doorbell(.memory($0), width: width) }
        guard wanted != state.hung[queue]?.doorbell else { continue }
        if let (doorbell, counter) = state.hung.removeValue(forKey: queue) {
          attempt { () throws(KVMError) in try machine.detachDoorbell(doorbell, from: counter) }
        }
        guard let wanted, let counter = try? transport.device.doorbell(queue: queue) else { continue }
        if attempt({ () throws(KVMError) in try machine.attachDoorbell(wanted, to: counter) }) {
          state.hung[queue] = (wanted, counter)
        }
      }
    }
  }

  @discardableResult
  private func attempt(_ body: () throws(KVMError) -> Void) -> Bool {
    do throws(KVMError) {
      try body()
      return true
    } catch {
      report("a queue's notifications take the long way: \(error)")
      return false
    }
  }
}
