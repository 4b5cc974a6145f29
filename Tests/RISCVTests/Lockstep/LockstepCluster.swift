import Foundation
import GuestMemory
import HostSystem
import RISCV
import Synchronization
import Testing
import Translator

/// Which engine runs a guest.
enum LockstepEngine: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case translator, interpreter
  /// The translator as it is used: code is interpreted a few times first.
  case tiered
  /// Those that differ in how they access memory.
  static let distinct = [translator, interpreter]
  var testDescription: String { rawValue }
}

/// A machine without devices whose harts all start at once, each on a thread of its own.
final class LockstepCluster {
  static let base: UInt64 = 0x8000_0000
  /// Where the harts meet, and say that they are done; lines apart.
  static let barrier = base + 0x1_0000
  static let done = base + 0x1_0040

  private final class NoDevices: PhysicalBus {
    func claims(_ address: UInt64) -> Bool { false }
    func read(address: UInt64, width: Int) -> UInt64 { 0 }
    func write(address: UInt64, width: Int, value: UInt64) {}
  }

  let memory: GuestMemory
  let cluster: HartCluster
  let code: CodeStore?

  init(
    _ engine: LockstepEngine, harts: Int, memorySize: Int = 64 << 20, arenaSize: Int = 4 << 20,
    profile: TranslationProfile? = nil, countsInstructions: Bool = false
  ) throws {
    memory = try GuestMemory(regions: [(base: Self.base, size: memorySize)])
    var options = CodeStore.Options()
    options.arenaSize = arenaSize
    options.coldRuns = engine == .tiered ? 3 : 0
    options.profile = profile
    options.countsInstructions = countsInstructions
    code = engine == .interpreter ? nil : try CodeStore(architecture: Lifter.architecture, options: options)
    cluster = try HartCluster(
      harts: harts, memory: memory, bus: NoDevices(), clock: MachineClock(), code: code)
  }

  func write(_ bytes: [UInt8], at address: UInt64) throws {
    let slice = try memory.slice(at: address, count: bytes.count)
    bytes.withUnsafeBytes { slice.copy(from: $0) }
  }

  func write(_ word: UInt64, at address: UInt64) throws {
    try memory.slice(at: address, count: 8).store(word, at: 0)
  }

  func read(_ address: UInt64) throws -> UInt64 {
    try memory.slice(at: address, count: 8).load(UInt64.self, at: 0)
  }

  /// The host's CPUs that harts may run on.
  static let hostCPUs = HostSystem.Thread.usableCPUs

  /// Runs until the guest turns the machine off; false if it did not within `seconds`. Hart `n` starts at
  /// `entries[n]` with `n` in a0. `apart`: on a host CPU of its own, as far as there are that many.
  func run(entries: [UInt64], seconds: UInt64 = 300, apart: Bool = false) throws -> Bool {
    cluster.reset(entry: entries[0], argument: 0)
    for (hart, entry) in zip(cluster.harts, entries) {
      hart.lifecycle.withLock { $0 = .startPending(address: entry, argument: 0) }
    }
    let running = Counter(entries.count)
    let threads = try zip(cluster.harts, entries).map { hart, _ in
      try HostSystem.Thread.start(name: "hart \(hart.id)") {
        if apart { try? HostSystem.Thread.stay(onCPU: Self.hostCPUs[hart.id % Self.hostCPUs.count]) }
        hart.run()
        running.value.subtract(1, ordering: .sequentiallyConsistent)
      }
    }
    let deadline = monotonicNanoseconds() + seconds * 1_000_000_000
    var isInTime = true
    while running.value.load(ordering: .sequentiallyConsistent) > 0 {
      usleep(1000)
      if isInTime, monotonicNanoseconds() > deadline {
        isInTime = false
        cluster.setHalted(true)
      }
    }
    for thread in threads { thread.join() }
    cluster.setHalted(false)
    return isInTime
  }

  private final class Counter: Sendable {
    let value: Atomic<Int>
    init(_ value: Int) { self.value = Atomic(value) }
  }
}

extension LockstepCode {
  /// Waits for all harts. `meeting` holds how many arrivals end it, and then those of the next time;
  /// overwrites x5 to x7.
  mutating func barrier(harts: Int, meeting: UInt32) {
    li(5, LockstepCluster.barrier)
    li(6, 1)
    fence(.rw, .rw)
    amo(0x302F, 0, 6, 5)
    addi(meeting, meeting, Int32(harts))
    // Spins a little, then lets the host run the others.
    let (again, wait, over) = (here(), newLabel(), newLabel())
    li(6, 300)
    bind(wait)
    ld(7, 5)
    branch(.notLessUnsigned, 7, meeting, to: over)
    addi(6, 6, -1)
    branch(.notEqual, 6, 0, to: wait)
    pause()
    jump(to: again)
    bind(over)
    fence(.rw, .rw)
  }

  /// The end of a hart's program: hart 0 waits for the others and turns the machine off, the others stop.
  mutating func finish(hart: Int, harts: Int) {
    li(5, LockstepCluster.done)
    li(6, 1)
    fence(.rw, .rw)
    amo(0x302F, 0, 6, 5)
    if hart == 0 {
      li(6, UInt64(harts))
      let (wait, over) = (here(), newLabel())
      ld(7, 5)
      branch(.equal, 7, 6, to: over)
      pause()
      jump(to: wait)
      bind(over)
      call(0x5352_5354, 0, [0, 0])
    } else {
      call(0x48_534D, 1, [])
    }
    let stay = here()
    wfi()
    jump(to: stay)
  }

  /// A call of the machine (SBI).
  mutating func call(_ service: UInt64, _ function: UInt64, _ arguments: [UInt64]) {
    for (index, argument) in arguments.enumerated() { li(UInt32(10 + index), argument) }
    li(16, function)
    li(17, service)
    ecall()
  }

  static let remoteFence: UInt64 = 0x5246_4E43

  /// Makes other harts see new code.
  mutating func remoteFenceI(harts mask: UInt64) { call(Self.remoteFence, 0, [mask, 0]) }

  /// Makes other harts forget translations.
  mutating func remoteSFence(harts mask: UInt64, address: UInt64, size: UInt64) {
    call(Self.remoteFence, 1, [mask, 0, address, size])
  }

  /// Makes other harts forget translations of one address space.
  mutating func remoteSFence(harts mask: UInt64, address: UInt64, size: UInt64, space: UInt64) {
    call(Self.remoteFence, 2, [mask, 0, address, size, space])
  }
}
