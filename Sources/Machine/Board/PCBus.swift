internal import Devices
internal import KVM
internal import Synchronization

/// What a PC's CPUs reach that is neither RAM nor in the kernel: the board's ports and registers.
final class PCBus: KVMBus {
  private let ports: PortBus
  private let memory: MMIOBus
  private let ioAPIC: IOAPIC
  private let count = Atomic<UInt64>(0)

  init(ports: PortBus, memory: MMIOBus, ioAPIC: IOAPIC) {
    self.ports = ports
    self.memory = memory
    self.ioAPIC = ioAPIC
  }

  /// Accesses so far.
  var accesses: UInt64 { count.load(ordering: .relaxed) }

  private func note() { count.wrappingAdd(1, ordering: .relaxed) }

  func readPort(_ port: UInt16, width: Int) -> UInt32 {
    note()
    return ports.read(port: port, width: width)
  }

  func writePort(_ port: UInt16, width: Int, value: UInt32) {
    note()
    ports.write(port: port, width: width, value: value)
  }

  func read(address: UInt64, width: Int) -> UInt64 {
    note()
    return memory.read(address: address, width: width)
  }

  func write(address: UInt64, width: Int, value: UInt64) {
    note()
    memory.write(address: address, width: width, value: value)
  }

  func endOfInterrupt(vector: UInt8) {
    note()
    ioAPIC.endOfInterrupt(vector: vector)
  }
}
