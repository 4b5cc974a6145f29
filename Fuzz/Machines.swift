import GuestMemory
import HostSystem
import Machine
import RISCV
import Translator

/// Whole boards with harts that run what chance wrote.
extension FuzzTarget {
  static let machine = [
    FuzzTarget("sbi-interpreter") { try MachineFuzz.calls(&$0, translated: false) },
    FuzzTarget("sbi-translator") { try MachineFuzz.calls(&$0, translated: true) },
    FuzzTarget("code-interpreter") { try MachineFuzz.code(&$0, translated: false) },
    FuzzTarget("code-translator") { try MachineFuzz.code(&$0, translated: true) },
  ]
}

private final class SilentDelegate: HartClusterDelegate {
  func guestRequested(_ request: SystemResetRequest) {}
  func debugConsoleWrite(_ bytes: UnsafeRawBufferPointer) { _ = bytes.reduce(0) { $0 &+ Int($1) } }
  func report(_ line: String) {}
}

private enum MachineFuzz {
  private static let memorySize: UInt64 = 64 << 20
  private static let entry = VirtMap.memory + 0x20_0000
  private static let data = VirtMap.memory + 0x10_0000
  /// Nanoseconds that a guest runs.
  private static let life: UInt64 = 2_000_000

  /// Calls to SBI, one after another, with arguments from a table: the known extensions and functions
  /// mostly, and harts that are started anywhere.
  static func calls(_ random: inout FuzzRandom, translated: Bool) throws {
    let extensions: [UInt64] = [
      0x10, 0x5449_4D45, 0x73_5049, 0x5246_4E43, 0x48_534D, 0x5352_5354, 0x4442_434E, 0, 1, 8,
    ]
    var table: [UInt64] = []
    for _ in 0..<64 {
      let address = random.once(in: 2) ? entry : random.number()
      let arguments = (0..<6).map { _ in
        random.once(in: 3) ? random.number() : random.pick([0, 1, 2, 3, 0xFF, address, data])
      }
      let function = random.once(in: 10) ? random.number() : UInt64(random.below(8))
      // Restart and power-off end the run, so they are rare.
      var number = random.once(in: 20) ? random.next() : random.pick(extensions)
      if number == 0x5352_5354, !random.once(in: 10) { number = 0x10 }
      table += arguments + [function, number]
    }
    // loop: ld a0..a7 from s0; ecall; addi s0, s0, 64; addi s1, s1, -1; bnez s1, loop; then again.
    var code: [UInt32] = []
    for register in 0..<8 as Range<UInt32> {
      code.append((8 * register) << 20 | 8 << 15 | 3 << 12 | (10 + register) << 7 | 0x03)
    }
    code += [0x0000_0073, 0x0404_0413, 0xFFF4_8493, 0xFC04_9AE3, 0x0000_006F]
    try run(&random, code, table, translated: translated) { hart in
      hart.context.registers[8] = data
      hart.context.registers[9] = 64
    }
  }

  /// Instructions of chance among page tables of chance: any bits, and such as are likely to be some.
  static func code(_ random: inout FuzzRandom, translated: Bool) throws {
    let opcodes: [UInt32] = [
      0x03, 0x07, 0x0F, 0x13, 0x17, 0x1B, 0x23, 0x27, 0x2F, 0x33, 0x37, 0x3B, 0x43, 0x53, 0x63, 0x67, 0x6F,
      0x73,
    ]
    let code = (0..<(32 + random.below(2000))).map { _ -> UInt32 in
      let bits = UInt32(truncatingIfNeeded: random.next())
      switch random.below(10) {
      case 0: return bits
      case 1: return 0x1200_0073 | bits & 0x01FF_8000  // SFENCE.VMA
      case 2:  // A control register that a kernel has.
        let number = random.pick(
          [0x100, 0x104, 0x105, 0x140, 0x141, 0x142, 0x143, 0x144, 0x14D, 0x180, 0xC01] as [UInt32])
        return number << 20 | bits & 0x000F_FF80 | 0x73
      default: return bits & ~0x7F | random.pick(opcodes)
      }
    }
    // Entries that lead to tables or pages, some of them good, all over the data.
    let table = (0..<4096).map { _ -> UInt64 in
      let frame = (VirtMap.memory >> 12) + UInt64(random.below(Int(memorySize >> 12)))
      return random.once(in: 6) ? random.number() : frame << 10 | random.pick([0x1, 0xCF, 0xDF, 0x47, 0x4B])
    }
    let registers = (1..<32).map { _ in
      random.once(in: 3) ? random.number() : data + UInt64(random.below(1 << 16))
    }
    let vector = entry + UInt64(4 * random.below(16))
    let hasFloat = random.once(in: 2)
    try run(&random, code, table, translated: translated) { hart in
      for (index, value) in registers.enumerated() { hart.context.registers[1 + index] = value }
      hart.state.pointee.trapVector = vector
      if hasFloat { hart.state.pointee.status |= Status.floatInitial }
    }
  }

  private static func run(
    _ random: inout FuzzRandom, _ code: [UInt32], _ table: [UInt64], translated: Bool, prepare: (Hart) -> Void
  ) throws {
    var options = CodeStore.Options()
    options.arenaSize = 4 << 20
    options.coldRuns = UInt8(random.below(4))
    let store = translated ? try CodeStore(architecture: Lifter.architecture, options: options) : nil
    let board = try VirtBoard(memorySize: memorySize, cpus: 1 + random.below(3), code: store)
    board.cluster.delegate = SilentDelegate()
    let codeSlice = try board.memory.slice(at: entry, count: 4 * code.count)
    for (index, word) in code.enumerated() { codeSlice.store(word, at: 4 * index) }
    let dataSlice = try board.memory.slice(at: data, count: 8 * table.count)
    for (index, word) in table.enumerated() { dataSlice.store(word, at: 8 * index) }
    board.reset(entering: LinuxLoader.Layout(kernel: entry, deviceTree: data, initrd: nil))
    for hart in board.cluster.harts { prepare(hart) }
    board.cluster.setHalted(false)
    let timer = try Thread.start(name: "timer") { board.cluster.runTimer() }
    let threads = try board.cluster.harts.map { hart in try Thread.start(name: "cpu\(hart.id)") { hart.run() }
    }
    let end = monotonicNanoseconds() + life
    while monotonicNanoseconds() < end { hostYield() }
    board.cluster.end()
    for thread in threads { thread.join() }
    timer.join()
    board.stopDevices()
  }
}
