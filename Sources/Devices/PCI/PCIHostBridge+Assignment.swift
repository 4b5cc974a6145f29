extension PCIHostBridge {
  /// Gives every range an address in a window, the largest first, and has functions decode what they got.
  /// The interrupt line register, a note from firmware to drivers, gets the wire's input.
  func assignAddresses() {
    var low = map.memory32
    var high = map.memory64
    let wishes = functions.flatMap { entry in entry.function.interface.ranges.map { (entry.function, $0) } }
    var hasAll = Set(functions.map { ObjectIdentifier($0.function) })
    for (function, range) in wishes.sorted(by: { $0.1.size > $1.1.size }) {
      let isHigh = range.kind == .memory64 && high != nil
      guard let address = isHigh ? high?.take(range.size) : low.take(range.size) else {
        hasAll.remove(ObjectIdentifier(function))
        continue
      }
      function.writeConfiguration(
        offset: range.register, width: 4, value: UInt32(truncatingIfNeeded: address))
      guard range.kind == .memory64 else { continue }
      function.writeConfiguration(
        offset: range.register + 4, width: 4, value: UInt32(truncatingIfNeeded: address >> 32))
    }
    for (address, function) in functions {
      let line = interrupts.lines[PCIInterruptRouter.wire(device: address.device, pin: 0)].input
      function.writeConfiguration(
        offset: PCIRegister.interruptLine, width: 1, value: UInt32(UInt8(clamping: line)))
      guard hasAll.contains(ObjectIdentifier(function)) else { continue }
      function.writeConfiguration(
        offset: PCIRegister.command, width: 2, value: UInt32(PCICommand.memorySpace.rawValue))
    }
  }
}

extension Range<UInt64> {
  /// Takes an aligned piece, a power of two, off the front; nil if there is no room.
  fileprivate mutating func take(_ size: UInt64) -> UInt64? {
    let (sum, overflow) = lowerBound.addingReportingOverflow(size - 1)
    let start = sum & ~(size - 1)
    guard !overflow, start <= upperBound, upperBound - start >= size else { return nil }
    self = start + size..<upperBound
    return start
  }
}
