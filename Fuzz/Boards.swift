import Devices
import GuestMemory
import HostSystem
import KVM
import Machine
import MachineControl
import RISCV
import Synchronization

/// Whole boards with all their devices, by all that a CPU reaches, and no CPU that runs.
extension FuzzTarget {
  static let boards = [
    FuzzTarget("pc-board") { try BoardFuzz.pc(&$0) },
    FuzzTarget("virt-board") { try BoardFuzz.virt(&$0) },
  ]
}

/// A board as chance sees it.
private struct BoardFuzz {
  private static let steps = 600

  /// Ports and addresses of devices that are where they are for good.
  private let ports: [UInt16]
  private let places: [UInt64]
  private let driver: PCIFuzzDriver
  private let host: VirtioFuzzHost
  private let time: FuzzTime
  private let reset: () -> Void
  /// What else can happen to the board.
  private let others: [(inout FuzzRandom) -> Void]

  // MARK: - Boards

  /// The PC. Its interrupts and doorbells are the kernel's.
  static func pc(_ random: inout FuzzRandom) throws {
    guard let system else { return }
    let memory = try GuestMemory(regions: PCMap.ram(size: 16 << 20).regions)
    let machine = try KVMMachine(
      system: system, memory: memory, cpus: 1 + random.below(2),
      interruptChip: .split(inputs: IOAPIC.inputCount))
    let host = try VirtioFuzzHost()
    let time = FuzzTime()
    let board = try PCBoard(
      machine, wallClock: WallClock(now: { time.now }, alarms: time), virtioDevices: try host.devices(memory))
    defer { board.stopDevices() }
    let bus = board.cpuBus
    let driver = PCIFuzzDriver(
      bus: FuzzBus(
        read: { bus.read(address: $0, width: $1) }, write: { bus.write(address: $0, width: $1, value: $2) },
        readPort: { bus.readPort($0, width: $1) }, writePort: { bus.writePort($0, width: $1, value: $2) }),
      memory: memory, base: PCMap.extendedMemory, ecam: PCMap.pciConfiguration,
      window: PCMap.pciMemory32.lowerBound, kinds: VirtioFuzzHost.kinds)
    let fuzz = BoardFuzz(
      ports: [0x60, 0x64, 0x70, 0x71, 0x80, 0xE9, 0x3F8, 0x505, 0x600, 0x604, 0x608, 0xCF8, 0xCF9, 0xCFC],
      places: [PCMap.ioAPIC], driver: driver, host: host, time: time, reset: { board.resetDevices() },
      others: [
        { bus.endOfInterrupt(vector: UInt8($0.below(256))) },
        { _ = board.serial.receive($0.bytes($0.below(40))) },
        { _ in _ = board.pressPowerButton() },
        { _ in board.pci.state = board.pci.state },
      ])
    fuzz.run(&random)
  }

  /// The `virt` board with its devices on the bus.
  static func virt(_ random: inout FuzzRandom) throws {
    let host = try VirtioFuzzHost()
    let time = FuzzTime()
    var made: GuestMemory?
    let board = try VirtBoard(
      memorySize: 16 << 20, cpus: 1 + random.below(2), code: nil,
      wallClock: WallClock(now: { time.now }, alarms: time), virtioBus: .pci
    ) { (memory) throws(Errno) in
      made = memory
      do { return try host.devices(memory) } catch { throw error as? Errno ?? .invalid }
    }
    guard let memory = made else { return }
    defer { board.stopDevices() }
    let bus = board.cluster.bus
    let driver = PCIFuzzDriver(
      bus: FuzzBus(
        read: { bus.read(address: $0, width: $1) }, write: { bus.write(address: $0, width: $1, value: $2) },
        readPort: { _, _ in .max }, writePort: { _, _, _ in }),
      memory: memory, base: VirtMap.memory, ecam: VirtMap.pciConfiguration,
      window: VirtMap.pciMemory32.lowerBound, kinds: VirtioFuzzHost.kinds)
    let fuzz = BoardFuzz(
      ports: [],
      places: [
        VirtMap.systemController, VirtMap.clock, VirtMap.serial, VirtMap.interruptController,
        VirtMap.interruptController + 0x2000, VirtMap.interruptController + 0x20_0000,
      ], driver: driver, host: host, time: time, reset: { board.resetDevices() },
      others: [{ _ = board.serial.receive($0.bytes($0.below(40))) }])
    fuzz.run(&random)
  }

  /// The host's KVM; nil, with a word about it, where there is none.
  private static let system: KVMSystem? = {
    do { return try KVMSystem() } catch {
      FuzzWorker.say("pc-board does nothing: \(error)")
      return nil
    }
  }()

  // MARK: - Steps

  private func run(_ random: inout FuzzRandom) {
    reset()
    for _ in 0..<Self.steps { act(&random) }
    reset()
    for place in 1...VirtioFuzzHost.kinds.count { driver.proveAlive(place) }
    proveQueuesWork()
  }

  private func act(_ random: inout FuzzRandom) {
    switch random.below(24) {
    case 0, 1: host.act(&random)
    case 2: random.pick(others)(&random)
    case 3: touchPort(&random)
    case 4, 5: touchPlace(&random)
    case 6:
      let later = time.now &+ random.next() >> UInt64(random.below(64))
      time.set(random.once(in: 4) ? random.number() : later)
    case 7: if random.once(in: 30) { reset() }
    default: driver.act(&random)
    }
  }

  private func touchPort(_ random: inout FuzzRandom) {
    guard !ports.isEmpty else { return }
    let near = random.pick(ports) &+ UInt16(random.once(in: 4) ? random.below(12) : 0)
    let port = random.once(in: 10) ? UInt16(random.below(1 << 16)) : near
    let width = random.pick([1, 1, 2, 4])
    if random.once(in: 2) {
      _ = driver.bus.readPort(port, width)
    } else {
      driver.bus.writePort(port, width, UInt32(truncatingIfNeeded: random.number()))
    }
  }

  private func touchPlace(_ random: inout FuzzRandom) {
    let near = random.pick(places) &+ UInt64(random.below(random.pick([0x20, 0x20, 0x1000])))
    let address = random.once(in: 10) ? random.number() : near
    let width = random.pick([1, 2, 4, 4, 8])
    if random.once(in: 3) {
      _ = driver.bus.read(address, width)
    } else {
      driver.bus.write(address, width, random.once(in: 2) ? random.number() : UInt64(random.below(0x80)))
    }
  }

  /// After a reset the source of entropy answers a driver that does it right, by its worker, into RAM.
  private func proveQueuesWork() {
    let place = 1 + (VirtioFuzzHost.kinds.firstIndex(of: .entropy) ?? 0)
    precondition(driver.answersRequest(place), "a device works again after a reset")
  }
}
