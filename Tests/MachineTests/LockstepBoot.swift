import Devices
import GuestMemory
import HostSystem
import Machine
import RISCV
import Synchronization
import Translator

/// A board whose every input is fixed, one hart, stepped by hand: two of them do the same.
final class LockstepBoard {
  let board: VirtBoard
  let clock = MachineClock(manual: true)
  private let text = SerialText()
  var hart: Hart { board.cluster.harts[0] }
  /// What the guest wrote to its serial port and its debug console.
  var serial: [UInt8] { text.bytes.withLock { $0 } }
  var powerRequest: PowerRequest? { text.power.withLock { $0 } }

  /// What comes out of a machine: its serial port and its debug console in one stream.
  private final class SerialText: HartClusterDelegate {
    let bytes = Mutex<[UInt8]>([])
    let power = Mutex<PowerRequest?>(nil)

    func guestRequested(_ request: SystemResetRequest) {
      power.withLock { $0 = request == .reset ? .reset : .powerOff(code: nil) }
    }

    func debugConsoleWrite(_ text: UnsafeRawBufferPointer) { bytes.withLock { $0 += text } }

    func report(_ line: String) {}
  }

  /// Alarms that never ring: nothing in a boot sets one.
  private final class NoAlarms: AlarmScheduler {
    func arm(at deadline: UInt64, _ alarm: @escaping @Sendable () -> Void) {}
    func disarm() {}
    func stop() {}
  }

  init(kernel: Descriptor, initrd: Descriptor, memorySize: UInt64, code: CodeStore?) throws {
    var connections = BoardConnections()
    connections.serialOutput = { [text] byte in text.bytes.withLock { $0.append(byte) } }
    connections.power = { [text] request in text.power.withLock { $0 = request } }
    let wallClock = WallClock(
      now: { [clock] in 1_750_000_000_000_000_000 + clock.now * MachineClock.tick }, alarms: NoAlarms())
    board = try VirtBoard(
      memorySize: memorySize, cpus: 1, code: code, clock: clock, wallClock: wallClock,
      countsInstructions: true, connections: connections)
    board.cluster.delegate = text
    let layout = try LinuxLoader.load(
      kernel: kernel, initrd: [initrd], memory: board.memory, base: VirtMap.memory)
    let tree = board.deviceTree(
      layout, commandLine: "console=ttyS0 earlycon=sbi panic=-1",
      entropySeed: (0..<64).map { UInt8(truncatingIfNeeded: $0 &* 37) })
    let blob = tree.blob()
    let place = try board.memory.slice(at: layout.deviceTree, count: blob.count)
    blob.withUnsafeBytes { place.copy(from: $0) }
    board.reset(entering: layout)
  }
}
