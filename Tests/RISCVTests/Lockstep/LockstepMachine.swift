import Foundation
import GuestMemory
import HostSystem
import RISCV
import Synchronization
import Translator

/// A device that answers the same to the same questions.
final class LockstepDevice: PhysicalBus, @unchecked Sendable {  // one hart's, on one thread
  private var state: UInt64 = 1

  func reset() { state = 1 }

  func claims(_ address: UInt64) -> Bool { address &- LockstepGuest.device < 4096 }

  /// Whether this thread's floating point rounds to nearest, whatever the guest's does.
  static var hostRoundsToNearest: Bool {
    // Next to a third, the nearest number is below; next to a tenth, above.
    zip(["3", "10"], [0x3FD5_5555_5555_5555, 0x3FB9_9999_9999_999A]).allSatisfy {
      1 / Double($0)! == Double(bitPattern: $1)
    }
  }

  func read(address: UInt64, width: Int) -> UInt64 {
    precondition(Self.hostRoundsToNearest, "a device runs with the guest's rounding mode")
    state = state &* 6_364_136_223_846_793_005 &+ address &+ UInt64(width)
    return width == 8 ? state : state >> 32 & ((1 << UInt64(8 * width)) - 1)
  }

  func write(address: UInt64, width: Int, value: UInt64) {
    let kept = width == 8 ? value : value & ((1 << UInt64(8 * width)) - 1)
    state = (state ^ kept) &* 6_364_136_223_846_793_005 &+ address
  }
}

/// One machine of a pair: memory, a hart and a clock of its own.
final class LockstepMachine {
  let memory: GuestMemory
  let cluster: HartCluster
  let clock = MachineClock(manual: true)
  let device = LockstepDevice()
  var hart: Hart { cluster.harts[0] }

  init(code: CodeStore?) throws {
    memory = try GuestMemory(regions: [(base: LockstepGuest.memoryBase, size: LockstepGuest.memorySize)])
    cluster = try HartCluster(
      harts: 1, memory: memory, bus: device, clock: clock, code: code, countsInstructions: true)
  }

  /// Makes memory hold these pages and zeroes otherwise, and the hart about to run from `entry`.
  func load(_ image: [UInt64: [UInt8]], entry: UInt64) {
    let zeroes = [UInt8](repeating: 0, count: GuestMemory.pageSize)
    for number in 0..<(memory.size / GuestMemory.pageSize) {
      let address = memory.address(ofPage: number)
      let page = image[address]
      guard page != nil || memory.flags(ofPage: number) & GuestMemory.PageFlag.dirty != 0,
        let slice = try? memory.slice(at: address, count: GuestMemory.pageSize)
      else { continue }
      (page ?? zeroes).withUnsafeBytes { slice.copy(from: $0) }
      if page == nil { memory.clearFlags(GuestMemory.PageFlag.dirty, ofPage: number) }
    }
    device.reset()
    clock.advance(to: 0)
    cluster.reset(entry: entry, argument: 0)
  }

  /// The address of the first word that differs among the pages that either machine wrote. That one has fetched from
  /// a page and the other has not yet, or never will, is no difference: a processor may look ahead (RISC-V Privileged
  /// Architecture, 12.3.1, "the A bit").
  func firstDifference(from other: LockstepMachine) -> UInt64? {
    for number in 0..<(memory.size / GuestMemory.pageSize) {
      let written =
        (memory.flags(ofPage: number) | other.memory.flags(ofPage: number)) & GuestMemory.PageFlag.dirty
      let address = memory.address(ofPage: number)
      guard written != 0, let mine = memory.host(of: address, count: 4096),
        let theirs = other.memory.host(of: address, count: 4096), memcmp(mine, theirs, 4096) != 0
      else { continue }
      let compared = LockstepGuest.isCodeTable(address) ? ~LockstepGuest.Entry.accessed : .max
      let offset = stride(from: 0, to: 4096, by: 8).first {
        let difference =
          mine.load(fromByteOffset: $0, as: UInt64.self) ^ theirs.load(fromByteOffset: $0, as: UInt64.self)
        return difference & compared != 0
      }
      if let offset { return address + UInt64(offset) }
    }
    return nil
  }
}

/// How far the translator goes before it is compared with the interpreter.
enum LockstepPace: String, CaseIterable, Sendable {
  /// One block.
  case block
  /// As far as linked blocks lead.
  case linked
}

/// Makes a hart look up now and then, so that no loop in linked code lasts for ever. What it interrupts when
/// makes no difference: the interpreter goes exactly as far.
final class LockstepWatchdog: Sendable {
  private let isOver = Atomic<Bool>(false)
  private let thread = Mutex<HostSystem.Thread?>(nil)

  init(_ hart: Hart) throws {
    let thread = try HostSystem.Thread.start(name: "watchdog") { [self] in
      while !isOver.load(ordering: .acquiring) {
        usleep(50_000)
        hart.kick()
      }
    }
    self.thread.withLock { $0 = thread }
  }

  func end() {
    isOver.store(true, ordering: .releasing)
    thread.withLock { $0 }?.join()
  }
}

/// A machine on the translator and one on the interpreter, which do the same.
final class LockstepMachines {
  let pace: LockstepPace
  let code: CodeStore
  let translated: LockstepMachine
  let interpreted: LockstepMachine
  private(set) var instructions = 0
  private let watchdog: LockstepWatchdog

  struct Difference: Error {
    var text: String
    /// Where the step began that ended differently.
    var start: UInt64
    var count: Int
  }

  init(
    pace: LockstepPace, arenaSize: Int = 4 << 20, blockLimit: Int? = nil, coldRuns: UInt8 = 0,
    features: HostFeatures = .host, hasOneCPU: Bool = true
  ) throws {
    self.pace = pace
    var options = CodeStore.Options()
    options.links = pace == .linked
    options.countsInstructions = true
    options.arenaSize = arenaSize
    options.coldRuns = coldRuns
    options.features = features
    options.hasOneCPU = hasOneCPU
    var architecture = Lifter.architecture
    if let blockLimit { architecture.blockLimit = blockLimit }
    code = try CodeStore(architecture: architecture, options: options)
    translated = try LockstepMachine(code: code)
    interpreted = try LockstepMachine(code: nil)
    watchdog = try LockstepWatchdog(translated.hart)
  }

  deinit { watchdog.end() }

  /// Loads both and runs them until `isOver` says so of the program counter, or `limit` instructions are
  /// done. Returns how many were.
  func run(
    _ image: [UInt64: [UInt8]], entry: UInt64, limit: Int, isOver: (UInt64) -> Bool
  ) throws(Difference) -> Int {
    translated.load(image, entry: entry)
    interpreted.load(image, entry: entry)
    let (first, second) = (translated.hart, interpreted.hart)
    var done = 0
    while done < limit {
      _ = first.stepBoundary()
      _ = second.stepBoundary()
      let start = first.context.programCounter
      guard first.matches(second) else { throw difference(start, 0) }
      if isOver(start) { break }
      let count = pace == .block ? first.stepBlock() : first.stepBlocks()
      second.stepInstructions(count)
      done += count
      instructions += count
      guard first.matches(second) else { throw difference(start, count) }
      translated.clock.advance(to: translated.clock.now &+ UInt64(count))
      interpreted.clock.advance(to: interpreted.clock.now &+ UInt64(count))
    }
    if let address = translated.firstDifference(from: interpreted) {
      throw Difference(
        text: "memory at 0x\(String(address, radix: 16)) differs", start: first.context.programCounter,
        count: 0)
    }
    return done
  }

  private func difference(_ start: UInt64, _ count: Int) -> Difference {
    let lines = translated.hart.differences(from: interpreted.hart)
    return Difference(text: lines.joined(separator: "\n"), start: start, count: count)
  }
}
