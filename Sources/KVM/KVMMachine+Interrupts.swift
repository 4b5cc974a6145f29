internal import CHost
package import GuestMemory
internal import Glibc
package import HostSystem
internal import Synchronization

/// Interrupts from the board and its devices. All of it may be called from any thread; machines without
/// local APICs refuse it.
extension KVMMachine {
  /// Sends an interrupt at once. False when it reached no CPU: the guest has switched its local APIC off, or
  /// the message is none.
  @discardableResult
  package func signal(_ message: MSIMessage) throws(KVMError) -> Bool {
    guard message.isInterrupt else { return false }
    var order = kvm_msi()
    order.address_lo = UInt32(truncatingIfNeeded: message.address)
    order.address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
    order.data = message.data
    do throws(KVMError) { return try descriptor.request(.signalMSI, &order) > 0 } catch {
      // How KVM says that no CPU has that APIC ID, which is for guests to choose.
      guard error == .failed(request: KVMRequest.signalMSI.name, Errno(EPERM)) else { throw error }
      return false
    }
  }

  // MARK: - Routes

  /// A GSI above the I/O APIC's inputs for a device's own interrupt; nil when there are no more.
  package func allocateGSI() -> Int? { routes.withLock { $0.allocate() } }

  /// Gives a GSI back, with its route.
  package func releaseGSI(_ gsi: Int) throws(KVMError) {
    try setRoutes([gsi: nil])
    routes.withLock { $0.release(gsi) }
  }

  /// Says which messages GSIs send from now on, nil for none. Others stay as they are.
  ///
  /// GSIs below the number of the I/O APIC's inputs are those inputs: a CPU that ends the interrupt of a vector
  /// which one of them has as a level-triggered message has ``KVMBus/endOfInterrupt(vector:)`` called. So the
  /// I/O APIC sets its unmasked inputs' routes here even if it sends its messages itself.
  package func setRoutes(_ changes: [Int: MSIMessage?]) throws(KVMError) {
    try routes.withLock { table throws(KVMError) in
      var changed = table
      guard changed.set(changes) else { return }
      try changed.install(descriptor)
      table = changed
    }
  }

  package func setRoute(_ gsi: Int, _ message: MSIMessage?) throws(KVMError) {
    try setRoutes([gsi: message])
  }

  // MARK: - Interrupts by descriptor

  /// Has the kernel send a GSI's message whenever the counter is signalled (irqfd), by whatever process.
  package func attachInterrupt(_ counter: EventCounter, gsi: Int) throws(KVMError) {
    try changeInterrupt(counter, gsi: gsi, flags: 0)
  }

  package func detachInterrupt(_ counter: EventCounter, gsi: Int) throws(KVMError) {
    try changeInterrupt(counter, gsi: gsi, flags: UInt32(KVM_IRQFD_FLAG_DEASSIGN))
  }

  private func changeInterrupt(_ counter: EventCounter, gsi: Int, flags: UInt32) throws(KVMError) {
    var order = kvm_irqfd()
    order.fd = UInt32(counter.descriptor.raw)
    order.gsi = UInt32(gsi)
    order.flags = flags
    try descriptor.request(.irqfd, &order)
  }
}
