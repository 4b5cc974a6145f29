import Devices
import GuestMemory
import HostSystem
import Synchronization

/// What a board has for firmware of its own: the configuration device with tables that are made when they are asked for,
/// bridges whose registers move things, flash memory.
extension FuzzTarget {
  static let pcFirmware = [FuzzTarget("pc-firmware") { try FirmwareFuzzBoard().run(&$0) }]
}

private final class FirmwareFuzzBoard {
  private final class Sink: InterruptSink {
    func setInput(_ input: Int, level: Bool) {}
  }

  /// What was said of the flash memory: whether guests read it as memory, and what is kept of it.
  private final class Seen: Sendable {
    let isShown = Atomic(true)
    let kept = Mutex([UInt8](repeating: 0, count: FirmwareFuzzBoard.flashSize))
  }

  private static let flashBase: UInt64 = 0xFFC0_0000
  private static let flashSize = 4 * FlashMemory.blockSize
  private let contents: Mapping
  private let seen = Seen()
  private let bridge: PCIHostBridge
  private let configuration: FirmwareConfiguration
  private let flash: FlashMemory
  private let ports: PortBus
  private let bus: MMIOBus

  init() throws {
    let sink = Sink()
    let line = { (input: Int) in InterruptLine(sink: sink, input: input) }
    let power = ACPIPowerManagement(interrupt: line(9), clock: { 0 }, request: { _ in })
    let bridge = PCIHostBridge(
      map: .init(
        ecam: 0xE000_0000, memory32: 0x8000_0000..<0xFC00_0000, memory64: 1 << 32..<1 << 40, movesECAM: true),
      identity: PCIHostBridge.q35Identity,
      interrupts: PCIInterruptRouter(lines: (16..<20).map { line($0) }),
      functions: [(LPCBridge.address, LPCBridge(powerManagement: 0x600))])
    self.bridge = bridge
    let tables = { @Sendable in
      var board = ACPITables.Board(processors: 3, power: (power, 0x600))
      board.pci = (bridge, 256)
      return ACPITables.build(for: board, at: 0)
    }
    configuration = FirmwareConfiguration(
      processors: 3,
      files: [
        .init(ACPITables.fileName) { tables().loaderFile },
        .init(ACPITables.commandsName) { tables().loaderCommands },
      ])
    contents = try Mapping.map(size: Self.flashSize)
    flash = FlashMemory(
      contents: contents,
      showContents: { [seen] shows in
        precondition(seen.isShown.exchange(shows, ordering: .relaxed) != shows, "it is shown or not")
      },
      keep: { [seen] offset, bytes in
        seen.kept.withLock { $0.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
      })
    ports = try PortBus(
      [
        .init(base: FirmwareConfiguration.base, device: configuration), .init(base: 0x600, device: power),
        bridge.portMapping,
      ], report: { _ in })
    bus = try MMIOBus(
      bridge.mappings(buses: 256) + [.init(base: Self.flashBase, device: flash)], report: { _ in })
  }

  func run(_ random: inout FuzzRandom) {
    bridge.reset()
    for _ in 0..<400 {
      switch random.below(10) {
      case 0...2: touchPort(&random)
      case 3...4: touchBridge(&random)
      case 5: readItem(&random)
      case 6...8: touchFlash(&random)
      default: random.once(in: 8) ? reset() : touchMemory(&random)
      }
    }
    reset()
    precondition(seen.isShown.load(ordering: .relaxed), "after a reset guests read it")
    let memory = UnsafeRawBufferPointer(start: contents.base, count: contents.size)
    precondition(seen.kept.withLock { $0.elementsEqual(memory) }, "all that changes is kept")
  }

  private func reset() {
    bridge.reset()
    configuration.reset()
    flash.reset()
  }

  private func touchPort(_ random: inout FuzzRandom) {
    let port = random.pick([0x510, 0x511, 0x600, 0x604, 0xCF8, 0xCFC] as [UInt16]) + UInt16(random.below(3))
    let width = random.pick([1, 2, 4])
    if random.once(in: 2) {
      _ = ports.read(port: port, width: width)
    } else {
      ports.write(port: port, width: width, value: UInt32(truncatingIfNeeded: random.number()))
    }
  }

  /// A register of a bridge, most of the time one that moves something.
  private func touchBridge(_ random: inout FuzzRandom) {
    let device = random.once(in: 2) ? 0 : 31
    let register = random.once(in: 4) ? random.below(64) * 4 : random.pick([0x60, 0x64, 0x40, 0x44, 0xF0])
    ports.write(port: 0xCF8, width: 4, value: 1 << 31 | UInt32(device << 11 | register))
    let width = random.pick([1, 2, 4, 4, 4])
    let value = UInt32(truncatingIfNeeded: random.number()) | (random.once(in: 2) ? 1 : 0)
    ports.write(port: 0xCFC, width: width, value: value)
    _ = ports.read(port: 0xCFC, width: width)
  }

  private func readItem(_ random: inout FuzzRandom) {
    let item = random.once(in: 4) ? random.below(1 << 16) : random.pick([0, 1, 5, 0x19, 0x20, 0x21])
    ports.write(port: FirmwareConfiguration.base, width: 2, value: UInt32(item))
    for _ in 0..<random.below(300) { _ = ports.read(port: FirmwareConfiguration.base + 1, width: 1) }
  }

  private func touchFlash(_ random: inout FuzzRandom) {
    let address = Self.flashBase + UInt64(random.below(Self.flashSize + 8))
    let width = random.once(in: 4) ? random.pick([2, 4, 8]) : 1
    guard random.once(in: 4) else {
      let command = random.pick([0x10, 0x40, 0x20, 0xD0, 0x50, 0x70, 0xFF, 0xFF] as [UInt64])
      return bus.write(address: address, width: width, value: random.once(in: 3) ? random.number() : command)
    }
    _ = bus.read(address: address, width: width)
  }

  private func touchMemory(_ random: inout FuzzRandom) {
    let base = bridge.ecam?.lowerBound ?? 0xE000_0000
    let address = random.once(in: 4) ? random.number() : base &+ UInt64(random.below(1 << 20))
    let width = random.pick([1, 2, 4, 8])
    if random.once(in: 2) {
      _ = bus.read(address: address, width: width)
    } else {
      bus.write(address: address, width: width, value: random.number())
    }
  }
}
