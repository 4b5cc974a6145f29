import Foundation
import RISCV
import Testing
import Translator

extension LockstepTests {
  /// Random programs on the translator and the interpreter: after every piece, all that a program can tell
  /// is the same.
  @Suite(.serialized) struct RandomTests {
    static let isSoak = ProcessInfo.processInfo.environment["VOLARY_SOAK"] != nil
    /// A seed to run alone, from the report of a failure.
    static let onlySeed = ProcessInfo.processInfo.environment["VOLARY_LOCKSTEP_SEED"].flatMap(UInt64.init)
    /// Instructions after which a program is given up: those that end at all take fewer.
    static let limit = 6000

    struct Run {
      var instructions: Int
      var difference: LockstepMachines.Difference?
    }

    static func run(_ program: LockstepProgram, on machines: LockstepMachines) -> Run? {
      guard let offsets = program.offsets() else { return nil }
      let end = offsets[program.last]
      let count = program.pieces[program.last].bytes.count
      do throws(LockstepMachines.Difference) {
        let done = try machines.run(program.image(offsets), entry: LockstepGuest.start, limit: limit) {
          LockstepProgram.isIn($0, end, count: count)
        }
        return Run(instructions: done, difference: nil)
      } catch {
        return Run(instructions: 0, difference: error)
      }
    }

    /// Takes out pieces as long as the program still fails.
    static func minimised(_ program: LockstepProgram, on machines: LockstepMachines) -> LockstepProgram {
      var removed: Set<Int> = []
      var size = program.pieces.count / 2
      while size > 0 {
        var start = 0
        while start < program.pieces.count {
          let attempt = removed.union(start..<min(start + size, program.pieces.count))
          if attempt != removed, run(program.without(attempt), on: machines)?.difference != nil {
            removed = attempt
          }
          start += size
        }
        size /= 2
      }
      return program.without(removed)
    }

    /// What to know of a failure: the seed, the small program, the first step that went wrong.
    static func report(
      _ program: LockstepProgram, on machines: LockstepMachines, first: LockstepMachines.Difference
    ) -> String {
      let small = minimised(program, on: machines)
      let offsets = small.offsets() ?? []
      guard let difference = run(small, on: machines)?.difference else {
        return """
          seed \(program.seed), pace \(machines.pace.rawValue): fails now and then; the first time
          \(first.text)
          after the step of \(first.count) instructions from 0x\(String(first.start, radix: 16))
          """
      }
      let step = machines.interpreted.hart.listing(
        at: difference.start, count: max(1, min(difference.count, 60)))
      return """
        seed \(program.seed), pace \(machines.pace.rawValue), starts in \(program.startsAsUser ? "user" : "supervisor") mode:
        \(difference.text)
        after the step of \(difference.count) instructions from 0x\(String(difference.start, radix: 16)):
        \(step.joined(separator: "\n"))
        program:
        \(small.listing(offsets))
        """
    }

    @Test(arguments: LockstepPace.allCases)
    func programs(pace: LockstepPace) throws {
      let machines = try LockstepMachines(pace: pace)
      let seeds = Self.onlySeed.map { $0..<$0 + 1 } ?? (Self.isSoak ? 0..<100_000 : 0..<2500)
      var programs = 0
      var ended = 0
      for seed in seeds {
        let program = LockstepGenerator.program(seed: seed)
        guard let run = Self.run(program, on: machines) else { continue }
        programs += 1
        if let first = run.difference {
          Issue.record(Comment(rawValue: Self.report(program, on: machines, first: first)))
          return
        }
        if run.instructions < Self.limit { ended += 1 }
      }
      print(
        "lockstep, pace \(pace.rawValue): \(programs) programs, \(ended) to their end, \(machines.instructions) "
          + "instructions, \(machines.code.statistics.blocks) blocks, \(machines.code.statistics.copies) of them copies, cache emptied \(machines.code.statistics.emptied) times"
      )
      // Programs must get somewhere for this to mean anything.
      #expect(Self.onlySeed != nil || ended > programs / 2)
      #expect(Self.onlySeed != nil || machines.code.statistics.copies > 1000)
    }

    /// The same with a code cache that is always full, blocks of few instructions, code that is interpreted
    /// before it is translated, and a host that has none of the newer instructions.
    @Test(arguments: LockstepPace.allCases)
    func narrow(pace: LockstepPace) throws {
      let machines = try LockstepMachines(
        pace: pace, arenaSize: 128 << 10, blockLimit: 3, coldRuns: 1,
        features: HostFeatures(
          bitCounts: false, flaglessShifts: false, fusedMultiplyAdd: false, threeOperands: false),
        hasOneCPU: false)
      machines.translated.hart.floatPatience = 2
      for seed in (1_000_000 as UInt64)..<1_000_400 {
        let program = LockstepGenerator.program(seed: seed)
        if let first = Self.run(program, on: machines)?.difference {
          Issue.record(Comment(rawValue: Self.report(program, on: machines, first: first)))
          return
        }
      }
      #expect(machines.code.statistics.emptied > 10)
    }

    /// The same with a window for every address space of user mode.
    @Test(arguments: LockstepPace.allCases)
    func windows(pace: LockstepPace) throws {
      let machines = try LockstepMachines(pace: pace, coldRuns: 0)
      try #require(machines.code.canUseWindows)
      machines.translated.hart.windowPatience = 0
      let seeds = Self.onlySeed.map { $0..<$0 + 1 } ?? 2_000_000..<(Self.isSoak ? 2_100_000 : 2_001_500)
      for seed in seeds {
        let program = LockstepGenerator.program(seed: seed)
        if let first = Self.run(program, on: machines)?.difference {
          Issue.record(Comment(rawValue: Self.report(program, on: machines, first: first)))
          return
        }
      }
      #expect(Self.onlySeed != nil || machines.translated.hart.windowFaults > 1000)
    }

    /// Bits of chance, most of which are no instructions.
    @Test func noise() throws {
      let machines = try LockstepMachines(pace: .block)
      for seed in 0..<(Self.isSoak ? 10_000 : 300) as Range<UInt64> {
        let program = LockstepGenerator.noise(seed: seed)
        if let difference = Self.run(program, on: machines)?.difference {
          let listing = machines.interpreted.hart.listing(
            at: difference.start, count: max(1, difference.count))
          Issue.record("seed \(seed): \(difference.text)\n\(listing.joined(separator: "\n"))")
          return
        }
      }
      print(
        "lockstep, noise: \(machines.instructions) instructions, \(machines.code.statistics.blocks) blocks")
    }
  }
}
