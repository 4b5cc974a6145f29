import GuestMemory
import HostSystem
import KVM
import Testing

/// A machine with a few instructions to run, entered in 64-bit mode.
final class Guest: Sendable {
  /// Guest-physical addresses.
  enum Place {
    static let tables: UInt64 = 0x1000
    static let interruptTable: UInt64 = 0x9000
    static let interruptTableRegister: UInt64 = 0x9FF0
    static let code: UInt64 = 0x10000
    static let handler: UInt64 = 0x11000
    static let startup: UInt64 = 0x12000
    static let stack: UInt64 = 0x20000
    static let data: UInt64 = 0x40000
    /// Where no memory is.
    static let nothing: UInt64 = 0xD000_0000
    static let high: UInt64 = 1 << 32
    static let localAPIC: UInt64 = 0xFEE0_0000
  }

  let system: KVMSystem
  let memory: GuestMemory
  let machine: KVMMachine
  let bus: RecordingBus
  var cpu: KVMProcessor { machine.processors[0] }

  init(
    _ code: [UInt8], cpus: Int = 1, interruptChip: KVMMachine.InterruptChip = .none,
    answer: @escaping @Sendable (RecordingBus.Access) -> UInt64 = { _ in 0 }
  ) throws {
    system = try KVMSystem()
    memory = try GuestMemory(regions: [(base: 0, size: 1 << 20), (base: Place.high, size: 1 << 20)])
    machine = try KVMMachine(system: system, memory: memory, cpus: cpus, interruptChip: interruptChip)
    bus = RecordingBus(answer: answer)
    try put(code, at: Place.code)
    try start()
  }

  func put(_ bytes: [UInt8], at address: UInt64) throws {
    let slice = try memory.slice(at: address, count: bytes.count)
    bytes.withUnsafeBytes { slice.copy(from: $0) }
  }

  /// Power-on, and to the code.
  func start() throws {
    let tables = try BootTables(in: memory, at: Place.tables, gigabytes: 5)
    let notes = try machine.reset(
      entering: .linux64(address: Place.code, bootParameters: 0x7000, tables: tables))
    for note in notes { print(note) }
  }

  func run() -> KVMExit { cpu.run(bus: bus) }

  /// Instructions by which a guest gets ready for interrupts: a stack, a table whose vectors all lead to
  /// `handler`, its local APIC switched on.
  func interruptible(handler: [UInt8]) throws -> [UInt8] {
    let gate =
      Code.bytes(Place.handler, 2) + [0x10, 0, 0, 0x8E] + Code.bytes(Place.handler >> 16, 2)
      + Code.bytes(Place.handler >> 32, 8)
    try put((0..<0x60).flatMap { _ in gate }, at: Place.interruptTable)
    try put(
      Code.bytes(0x60 * 16 - 1, 2) + Code.bytes(Place.interruptTable, 8), at: Place.interruptTableRegister)
    try put(handler, at: Place.handler)
    return Code.load(.rsp, Place.stack) + Code.load(.rbx, Place.interruptTableRegister)
      + Code.loadInterruptTable
  }

  static let enableLocalAPIC = Code.store32(Place.localAPIC + 0xF0, 0x1FF)
  static let endInterrupt = Code.store32(Place.localAPIC + 0xB0, 0)
}
