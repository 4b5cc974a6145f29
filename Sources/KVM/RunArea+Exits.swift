internal import CHost

extension RunArea {
  /// Does what the guest left for, as the area says after KVM_RUN; nil when it goes on at once.
  package func answer(_ bus: any KVMBus) -> KVMExit? {
    let reason = exitReason
    switch Int32(bitPattern: reason) {
    case KVM_EXIT_IO: return accessPort(bus)
    case KVM_EXIT_MMIO: return accessMemory(bus)
    case KVM_EXIT_IOAPIC_EOI:
      bus.endOfInterrupt(vector: endedVector)
      return nil
    case KVM_EXIT_INTR: return nil
    case KVM_EXIT_HLT: return .halted
    case KVM_EXIT_SHUTDOWN: return .shutdown
    case KVM_EXIT_IRQ_WINDOW_OPEN: return .interruptWindow
    case KVM_EXIT_SYSTEM_EVENT: return .systemEvent(systemEvent)
    case KVM_EXIT_FAIL_ENTRY:
      let failure = entryFailure
      return .failedEntry(reason: failure.reason, cpu: failure.cpu)
    case KVM_EXIT_UNKNOWN: return .failedEntry(reason: hardwareReason, cpu: 0)
    case KVM_EXIT_INTERNAL_ERROR: return .internalError(internalError)
    default: return .unexpected(reason: reason)
    }
  }

  /// One access to a port, or the many of a string instruction.
  private func accessPort(_ bus: any KVMBus) -> KVMExit? {
    let access = portAccess
    guard access.width == 1 || access.width == 2 || access.width == 4, let data = self.data(of: access) else {
      return .malformed("\(access.count) accesses of \(access.width) bytes to a port")
    }
    for offset in stride(from: 0, to: data.count, by: access.width) {
      let place = UnsafeMutableRawBufferPointer(rebasing: data[offset..<offset + access.width])
      if access.isWrite {
        let value = UInt32(truncatingIfNeeded: Self.value(of: place))
        bus.writePort(access.port, width: access.width, value: value)
      } else {
        Self.set(place, to: UInt64(bus.readPort(access.port, width: access.width)))
      }
    }
    return nil
  }

  /// An access to an address that is not memory. Of what has another width than a register can have, the bus
  /// sees the largest parts that do.
  private func accessMemory(_ bus: any KVMBus) -> KVMExit? {
    let access = memoryAccess
    guard (1...8).contains(access.count) else { return .malformed("an access of \(access.count) bytes") }
    var data = access.isWrite ? memoryData : 0
    var offset = 0
    while offset < access.count {
      let width = 1 << (7 - UInt8(access.count - offset).leadingZeroBitCount)
      let mask = UInt64.max >> UInt64(64 - 8 * width)
      let shift = UInt64(8 * offset)
      let address = access.address &+ UInt64(offset)
      if access.isWrite {
        bus.write(address: address, width: width, value: data >> shift & mask)
      } else {
        data |= (bus.read(address: address, width: width) & mask) << shift
      }
      offset += width
    }
    if !access.isWrite { memoryData = data }
    return nil
  }

  /// The bytes as a little-endian number.
  private static func value(of bytes: UnsafeMutableRawBufferPointer) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func set(_ bytes: UnsafeMutableRawBufferPointer, to value: UInt64) {
    for place in bytes.indices { bytes[place] = UInt8(truncatingIfNeeded: value >> UInt64(8 * place)) }
  }
}
