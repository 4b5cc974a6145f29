internal import GuestMemory
internal import HostSystem

/// Whether this host's /dev/kvm can run a machine. It can be there and yet interpret guest kernel code
/// a million instructions a second, so it is measured, not believed.
package enum KVMProbe {
  /// What was found.
  package enum Verdict: Equatable, Sendable {
    /// There is no /dev/kvm.
    case absent
    /// It is there, and this user may not open it or it cannot run machines; why.
    case refused(KVMError)
    /// It ran guest code: millions of instructions a second.
    case measured(mips: Double)

    /// Whether machines run better here than on the translator.
    package var isUseful: Bool {
      if case .measured(let mips) = self { mips >= KVMProbe.usefulMIPS } else { false }
    }
  }

  /// Below this no stock kernel finishes booting (millions of instructions a second).
  package static let usefulMIPS = 100.0

  /// Opens and tries the device. Takes a few milliseconds where KVM is real, and about 0.2 s at most elsewhere.
  package static func measure(path: String = KVMSystem.path) -> Verdict {
    do throws(KVMError) {
      return .measured(mips: try measure(KVMSystem(path: path)))
    } catch {
      if case .missing = error { return .absent }
      return .refused(error)
    }
  }

  /// Millions of instructions a second of a CPU that counts down in 64-bit kernel mode, as the boot of a stock
  /// kernel is.
  package static func measure(_ system: KVMSystem) throws(KVMError) -> Double {
    let memory: GuestMemory
    do throws(Errno) { memory = try GuestMemory(regions: [(base: 0, size: Place.size)]) } catch {
      throw .failed(request: "mmap", error)
    }
    let machine = try KVMMachine(system: system, memory: memory, cpus: 1, interruptChip: .none)
    let tables: BootTables
    do throws(GuestMemoryError) {
      tables = try BootTables(in: memory, at: Place.tables, gigabytes: 1)
      let place = try memory.slice(at: Place.code, count: code.count)
      code.withUnsafeBytes { place.copy(from: $0) }
    } catch {
      preconditionFailure("the probe's memory has room for its tables")
    }
    _ = try machine.reset(entering: .linux64(address: Place.code, bootParameters: 0, tables: tables))
    let cpu = machine.processors[0]
    // The host's page tables are made on first use, which the second time measures no more.
    _ = try run(cpu, rounds: 64)
    return try run(cpu, rounds: mostRounds)
  }

  private enum Place {
    static let tables: UInt64 = 0x1000
    static let code: UInt64 = 0x8000
    static let size = 0x9000
  }

  /// `dec %rcx; jnz .-3; hlt`: two instructions a round.
  private static let code: [UInt8] = [0x48, 0xff, 0xc9, 0x75, 0xfb, 0xf4]
  /// A millisecond of a real processor.
  private static let mostRounds: UInt64 = 2_000_000
  /// Milliseconds after which a CPU that has not finished is stopped. Slow hosts do 300,000 instructions.
  private static let patience: Int32 = 180

  /// Runs the loop for so many rounds or as long as patience lasts; millions of instructions a second.
  private static func run(_ cpu: KVMProcessor, rounds: UInt64) throws(KVMError) -> Double {
    var registers = try cpu.generalRegisters()
    registers.rip = Place.code
    registers.rcx = rounds
    try cpu.setGeneralRegisters(registers)
    let start = monotonicNanoseconds()
    let exit = try kicking(cpu, after: patience) { cpu.run(bus: Nothing()) }
    let nanoseconds = max(1, monotonicNanoseconds() - start)
    guard exit == .halted || exit == .kicked else {
      throw .failed(request: "measuring: \(exit)", .io)
    }
    let left = exit == .halted ? 0 : try cpu.generalRegisters().rcx
    return Double((rounds - min(left, rounds)) * 2) * 1000 / Double(nanoseconds)
  }

  /// Runs `body` and kicks the CPU if it takes longer.
  private static func kicking(
    _ cpu: KVMProcessor, after milliseconds: Int32, _ body: () -> KVMExit
  ) throws(KVMError) -> KVMExit {
    do throws(Errno) {
      let done = try EventCounter()
      let poller = try Poller()
      try poller.add(done.descriptor.raw, .read, token: 0)
      let watch = try Thread.start(name: "kvm-probe") {
        if (try? poller.wait(milliseconds: milliseconds))?.isEmpty ?? true { cpu.kick() }
      }
      let exit = body()
      done.signal()
      watch.join()
      return exit
    } catch {
      throw .failed(request: "measuring", error)
    }
  }

  /// A bus with nothing on it.
  private final class Nothing: KVMBus {
    func readPort(_ port: UInt16, width: Int) -> UInt32 { .max }
    func writePort(_ port: UInt16, width: Int, value: UInt32) {}
    func read(address: UInt64, width: Int) -> UInt64 { .max }
    func write(address: UInt64, width: Int, value: UInt64) {}
    func endOfInterrupt(vector: UInt8) {}
  }
}
