import Devices
import GuestMemory
import Synchronization

/// A machine as one of its processors sees it: physical addresses, nothing else. Where things are is the
/// map of `virt` boards.
protocol PCIMachine: AnyObject {
  func read(_ address: UInt64, _ width: Int) throws -> UInt64
  func write(_ address: UInt64, _ width: Int, _ value: UInt64) throws
}

extension PCIMachine {
  static var ecam: UInt64 { 0x3000_0000 }
  static var memory: UInt64 { 0x8000_0000 }

  /// Reads the configuration space of a device's function 0.
  func config(_ device: Int, _ offset: Int, _ width: Int) throws -> UInt64 {
    try read(Self.ecam + UInt64(device << 15 + offset), width)
  }

  func setConfig(_ device: Int, _ offset: Int, _ width: Int, _ value: UInt64) throws {
    try write(Self.ecam + UInt64(device << 15 + offset), width, value)
  }

  /// Inputs of the PLIC that wait for a claim, of those from 32 on.
  func pendingInputs() throws -> UInt64 { try read(0xC00_1004, 4) }

  /// Has a hart take the best input and serve it by `body`, as an interrupt handler does. Returns the input.
  func serveInput(_ body: () throws -> Void) throws -> UInt64 {
    let input = try read(0xC20_1004, 4)
    try body()
    try write(0xC20_1004, 4, input)
    return input
  }

  /// Has the supervisor of hart 0 take all four wires' interrupts.
  func enableInputs() throws {
    for input in 32...35 as ClosedRange<UInt64> { try write(0xC00_0000 + 4 * input, 4, 1) }
    try write(0xC00_2084, 4, 0xF)
  }
}

/// Our devices, with some of a `virt` board around them.
final class PCIOwnMachine: PCIMachine {
  /// Writes messages to memory, as a bus would that has no one for them.
  final class MemorySink: MSISink {
    let memory: GuestMemory
    let count = Atomic(0)

    init(_ memory: GuestMemory) { self.memory = memory }

    func signal(_ message: MSIMessage) {
      count.add(1, ordering: .relaxed)
      guard let slice = try? memory.slice(at: message.address, count: 4) else { return }
      slice.store(message.data, at: 0)
    }
  }

  let ram: GuestMemory
  let plic: PLIC
  let router: PCIInterruptRouter
  let bridge: PCIHostBridge
  let functions: [VirtioPCITransport]
  let bus: MMIOBus
  let sink: MemorySink
  let reports = Reports()
  /// How often a function's notification addresses may have changed.
  let moves = PlatformLog<Int>()
  /// How often a function's messages may have changed.
  let messageMoves = PlatformLog<Int>()

  static let map = PCIHostBridge.AddressMap(
    ecam: ecam, memory32: 0x4000_0000..<0x8000_0000, memory64: 0x4_0000_0000..<0x8_0000_0000)

  /// A bus with devices from place 1 on.
  init(_ devices: [any VirtioDevice], ram: GuestMemory? = nil, hasMessages: Bool = true) throws {
    let ram = try ram ?? Self.makeMemory()
    self.ram = ram
    let plic = PLIC(contexts: [
      .init(hart: 0, mode: .machine, pin: PlatformPin()), .init(hart: 0, pin: PlatformPin()),
    ])
    self.plic = plic
    let router = PCIInterruptRouter(lines: (0..<4).map { InterruptLine(sink: plic, input: 32 + $0) })
    self.router = router
    let (reports, moves, messageMoves, sink) = (reports, moves, messageMoves, MemorySink(ram))
    self.sink = sink
    let functions = devices.enumerated().map { index, device in
      let place = index + 1
      return VirtioPCITransport(
        device: device, memory: ram, interrupt: router.interruptLine(of: PCIAddress(device: place)),
        messages: hasMessages ? sink : nil, report: { reports.add($0) },
        notifyMoved: { moves.append(place) }, messagesMoved: { messageMoves.append(place) })
    }
    self.functions = functions
    bridge = PCIHostBridge(
      map: Self.map, interrupts: router,
      functions: functions.enumerated().map { (PCIAddress(device: $0.offset + 1), $0.element) })
    bus = try MMIOBus(
      bridge.mappings(buses: 256) + [.init(base: 0xC00_0000, device: plic)], report: { reports.add($0) })
    bridge.reset()
  }

  deinit { bridge.stop() }

  static func makeMemory() throws -> GuestMemory { try GuestMemory(regions: [(memory, 16 << 20)]) }

  func read(_ address: UInt64, _ width: Int) throws -> UInt64 {
    guard let slice = try? ram.slice(at: address, count: width) else {
      return bus.read(address: address, width: width)
    }
    return slice.copyBytes().reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  func write(_ address: UInt64, _ width: Int, _ value: UInt64) throws {
    guard let slice = try? ram.slice(at: address, count: width) else {
      return bus.write(address: address, width: width, value: value)
    }
    withUnsafeBytes(of: value.littleEndian) { slice.copy(from: $0) }
  }
}

/// QEMU's board and devices.
final class PCIQEMUMachine: PCIMachine {
  private let qtest: PlatformQTest
  private static let names = [1: "b", 2: "w", 4: "l", 8: "q"]

  init(_ qemu: String, _ options: [String]) throws { qtest = try PlatformQTest(qemu, options, runs: true) }

  func read(_ address: UInt64, _ width: Int) throws -> UInt64 {
    let answer = try qtest.command("read\(Self.names[width]!) \(address)")
    guard let value = UInt64(answer.dropFirst(2), radix: 16) else {
      throw PlatformQTest.Refused(answer: answer)
    }
    return width == 8 ? value : value & (1 << UInt64(8 * width) - 1)
  }

  func write(_ address: UInt64, _ width: Int, _ value: UInt64) throws {
    let value = width == 8 ? value : value & (1 << UInt64(8 * width) - 1)
    try qtest.command("write\(Self.names[width]!) \(address) \(value)")
  }
}
