internal import CHost
package import HostSystem

extension KVMMachine {
  /// Has writes that match signal the counter, and not go to the bus. Reads, and writes of another width or
  /// value, still do. Of two doorbells at one place both must name a value, and not the same.
  package func attachDoorbell(_ doorbell: Doorbell, to counter: EventCounter) throws(KVMError) {
    try changeDoorbell(doorbell, counter, flags: 0)
  }

  package func detachDoorbell(_ doorbell: Doorbell, from counter: EventCounter) throws(KVMError) {
    try changeDoorbell(doorbell, counter, flags: 1 << kvm_ioeventfd_flag_nr_deassign)
  }

  private func changeDoorbell(
    _ doorbell: Doorbell, _ counter: EventCounter, flags: UInt32
  ) throws(KVMError) {
    var order = kvm_ioeventfd()
    order.fd = counter.descriptor.raw
    order.len = UInt32(doorbell.width)
    order.flags = flags
    switch doorbell.place {
    case .memory(let address): order.addr = address
    case .port(let port):
      order.addr = UInt64(port)
      order.flags |= 1 << kvm_ioeventfd_flag_nr_pio
    }
    if let value = doorbell.value {
      order.datamatch = value
      order.flags |= 1 << kvm_ioeventfd_flag_nr_datamatch
    }
    try descriptor.request(.ioeventfd, &order)
  }
}
