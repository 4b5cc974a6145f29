internal import Devices
internal import GuestMemory
internal import KVM

/// Where a PC's interrupts go: to the local APICs, which KVM plays.
final class KVMMessages: MSISink {
  private let machine: KVMMachine
  private let report: @Sendable (String) -> Void

  /// `report` gets a line about what KVM would not do; the caller limits its rate.
  init(_ machine: KVMMachine, report: @escaping @Sendable (String) -> Void) {
    self.machine = machine
    self.report = report
  }

  func signal(_ message: MSIMessage) {
    do throws(KVMError) { try machine.signal(message) } catch { report("an interrupt is lost: \(error)") }
  }

  /// Has KVM tell when the message's interrupt has ended.
  func setRoute(ofInput input: Int, _ message: MSIMessage?) {
    do throws(KVMError) { try machine.setRoute(input, message) } catch {
      report("the ends of the interrupts of input \(input) are not told: \(error)")
    }
  }
}
