import Foundation
import GuestMemory
import HostSystem
import Machine
import RISCV
import Synchronization
import Testing
import Translator

/// A stock kernel boots on the translator and on the interpreter side by side, and all that a guest can
/// tell is compared after every piece.
///
/// The kernel and its initial RAM disk are named by `VOLARY_TEST_KERNEL` and `VOLARY_TEST_INITRD`. With
/// `VOLARY_SOAK` set each boot goes on for a billion instructions, else for what fits in its time.
@Suite(.serialized) struct LockstepBootTests {
  static let environment = ProcessInfo.processInfo.environment
  static let isSoak = environment["VOLARY_SOAK"] != nil
  static let files: (kernel: String, initrd: String)? = {
    guard let kernel = environment["VOLARY_TEST_KERNEL"], let initrd = environment["VOLARY_TEST_INITRD"]
    else { return nil }
    return (kernel, initrd)
  }()

  /// How far the translator goes before the two are compared.
  enum Pace: String, CaseIterable, CustomTestStringConvertible {
    /// One block.
    case block
    /// As far as linked blocks lead, which is mostly to the next system instruction or trap.
    case linked
    var testDescription: String { rawValue }
  }

  @Test(
    .enabled(
      if: files != nil, "set VOLARY_TEST_KERNEL and VOLARY_TEST_INITRD to a riscv64 kernel and an initrd"),
    arguments: Pace.allCases)
  func boots(pace: Pace) throws {
    let files = try #require(Self.files)
    var options = CodeStore.Options()
    options.links = pace == .linked
    options.countsInstructions = true
    let code = try CodeStore(architecture: Lifter.architecture, options: options)
    let boards = try [code, nil].map {
      try LockstepBoard(
        kernel: .open(files.kernel, 0), initrd: .open(files.initrd, 0), memorySize: 256 << 20, code: $0)
    }
    let pair = LockstepPair(boards[0], boards[1])
    let limit = Self.isSoak ? 1_000_000_000 : Int.max
    let deadline = monotonicNanoseconds() + (Self.isSoak ? 3600 : 35) * 1_000_000_000
    let outcome = pair.run(pace: pace, instructions: limit, until: deadline)
    let seconds =
      Double(monotonicNanoseconds() - (deadline - (Self.isSoak ? 3600 : 35) * 1_000_000_000)) / 1e9
    print(
      "lockstep boot, pace \(pace.rawValue): \(pair.instructions) instructions in \(pair.steps) steps, "
        + "\(pair.memoryComparisons) comparisons of memory, \(Int(seconds)) s, \(outcome); "
        + "\(code.statistics.blocks) blocks; \(boards[0].serial.count) characters written")
    if case .differs(let report) = outcome { Issue.record(Comment(rawValue: report)) }
    // The kernel has come to life.
    #expect(pair.instructions > 10_000_000 || outcome == .ended)
    #expect(boards[0].serial == boards[1].serial)
    for board in boards { board.board.stopDevices() }
  }
}

/// Ends a hart's steps now and then: linked blocks may be a loop that waits for time, which only passes
/// between two steps.
final class Pacemaker: Sendable {
  private let isOver = Atomic(false)
  private let thread = DispatchGroup()

  init(_ hart: Hart) {
    DispatchQueue.global().async(group: thread) { [self] in
      while !isOver.load(ordering: .relaxed) {
        usleep(500)
        hart.endStep()
      }
    }
  }

  func stop() {
    isOver.store(true, ordering: .relaxed)
    thread.wait()
  }
}

/// Two boards in lockstep.
final class LockstepPair {
  enum Outcome: Equatable {
    case timeIsUp, enough
    /// The guest asked to be powered off.
    case ended
    case differs(String)
  }

  /// Instructions a tick of the clock.
  static let instructionsPerTick = 32

  let translated: LockstepBoard
  let interpreted: LockstepBoard
  private(set) var instructions = 0
  private(set) var steps = 0
  private(set) var memoryComparisons = 0

  init(_ translated: LockstepBoard, _ interpreted: LockstepBoard) {
    self.translated = translated
    self.interpreted = interpreted
  }

  func run(pace: LockstepBootTests.Pace, instructions limit: Int, until deadline: UInt64) -> Outcome {
    let (first, second) = (translated.hart, interpreted.hart)
    let pacemaker = Pacemaker(first)
    defer { pacemaker.stop() }
    var rest = 0
    var nextMemory = 5_000_000
    while instructions < limit {
      guard first.stepBoundary(), second.stepBoundary() else { return .ended }
      let start = first.context.programCounter
      guard first.matches(second) else { return .differs(report("after an interrupt", start, 0)) }
      // Memory is compared after single blocks: at their end both engines have fetched the same pages.
      let comparesMemory = instructions >= nextMemory
      let count = pace == .block || comparesMemory ? first.stepBlock() : first.stepBlocks()
      second.stepInstructions(count)
      instructions += count
      steps += 1
      guard first.matches(second) else { return .differs(report("", start, count)) }
      if translated.board.cluster.isHalted || translated.powerRequest != nil {
        return compareMemory() ?? .ended
      }
      rest += count
      let ticks = UInt64(rest / Self.instructionsPerTick)
      rest %= Self.instructionsPerTick
      translated.clock.advance(to: translated.clock.now &+ ticks)
      interpreted.clock.advance(to: interpreted.clock.now &+ ticks)
      if comparesMemory {
        nextMemory = instructions + 20_000_000
        if let difference = compareMemory() { return difference }
      }
      if steps & 0xFF == 0, monotonicNanoseconds() > deadline { return compareMemory() ?? .timeIsUp }
    }
    return compareMemory() ?? .enough
  }

  private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

  private func report(_ when: String, _ start: UInt64, _ count: Int) -> String {
    let differences = translated.hart.differences(from: interpreted.hart)
    return "after \(instructions) instructions, step \(steps) of \(count) from \(hex(start)) \(when):\n"
      + differences.joined(separator: "\n") + "\n"
      + translated.hart.listing(at: start, count: min(max(count, 1), 100)).joined(separator: "\n")
  }

  /// The first difference between the pages that either machine has written.
  private func compareMemory() -> Outcome? {
    memoryComparisons += 1
    let mine = translated.board.memory
    let theirs = interpreted.board.memory
    for page in 0..<(mine.size / GuestMemory.pageSize) {
      let written = (mine.flags(ofPage: page) | theirs.flags(ofPage: page)) & GuestMemory.PageFlag.dirty
      guard written != 0 else { continue }
      let address = mine.address(ofPage: page)
      guard let a = mine.host(of: address, count: 4096), let b = theirs.host(of: address, count: 4096)
      else { continue }
      if memcmp(a, b, 4096) != 0 {
        let offset =
          (0..<4096).first {
            a.load(fromByteOffset: $0, as: UInt8.self) != b.load(fromByteOffset: $0, as: UInt8.self)
          } ?? 0
        return .differs(
          "after \(instructions) instructions memory differs at \(hex(address + UInt64(offset)))")
      }
    }
    return nil
  }
}
