import Glibc
import GuestMemory
import HostSystem
import RISCV
import Testing
import Translator

extension LockstepTests {
  /// What a profile says against what the machine did.
  @Suite(.serialized) struct ProfileTests {
    /// Loops, calls, computed jumps, branches taken now and then, on two harts.
    private static func program(hart: Int, harts: Int) -> LockstepCode {
      var c = LockstepCode(base: LockstepCluster.base + UInt64(hart) << 12)
      let (function, skip, odd) = (c.newLabel(), c.newLabel(), c.newLabel())
      c.li(22, 0)
      c.barrier(harts: harts, meeting: 22)
      c.li(8, 20_000)
      c.li(9, 0)
      c.la(18, function)
      let again = c.here()
      c.andi(10, 8, 1)
      c.branch(.notEqual, 10, 0, to: odd)
      c.addi(9, 9, 3)
      c.andi(11, 8, 6)
      c.branch(.equal, 11, 0, to: odd)
      c.addi(9, 9, 5)
      c.bind(odd)
      c.jump(1, to: function)
      c.jalr(1, 18)
      c.addi(8, 8, -1)
      c.branch(.notEqual, 8, 0, to: again)
      c.jump(to: skip)
      c.bind(function)
      c.addi(9, 9, 1)
      c.jalr(0, 1)
      c.bind(skip)
      c.finish(hart: hart, harts: harts)
      return c
    }

    private func run(
      harts: Int, arenaSize: Int = 4 << 20, countsInstructions: Bool
    ) throws -> (cluster: LockstepCluster, code: CodeStore) {
      let profile = TranslationProfile(arenaSize: arenaSize)
      let cluster = try LockstepCluster(
        .translator, harts: harts, memorySize: 2 << 20, arenaSize: arenaSize, profile: profile,
        countsInstructions: countsInstructions)
      for hart in cluster.cluster.harts { try hart.startProfile(profile) }
      var entries: [UInt64] = []
      for hart in 0..<harts {
        let program = Self.program(hart: hart, harts: harts)
        try cluster.write(program.finished(), at: program.base)
        entries.append(program.base)
      }
      let isInTime = try cluster.run(entries: entries)
      #expect(isInTime)
      return (cluster, try #require(cluster.code))
    }

    /// The blocks' instructions are those that the harts counted one by one.
    @Test(arguments: [1, 2])
    func countsInstructions(harts: Int) throws {
      let (cluster, code) = try run(harts: harts, countsInstructions: true)
      let retired = cluster.cluster.harts.reduce(UInt64(0)) { $0 + $1.instructionsRetired }
      let interpreted = cluster.cluster.harts.reduce(UInt64(0)) { $0 + ($1.profile?.coldInstructions ?? 0) }
      let blocks = code.profiledBlocks(listings: 0)
      let counted = blocks.reduce(UInt64(0)) { $0 + $1.executedInstructions }
      #expect(retired > 150_000)
      #expect(counted + interpreted == retired)
      #expect(blocks.map(\.executedInstructions) == blocks.map(\.executedInstructions).sorted(by: >))
      #expect(blocks.reduce(0) { $0 + $1.translations } == code.statistics.blocks)
      #expect(code.profile?.translationTime ?? 0 > 0)
    }

    /// Exits have their reasons: what is counted in generated code is what the hart sees come back.
    @Test func countsExits() throws {
      let (cluster, _) = try run(harts: 2, countsInstructions: false)
      for hart in cluster.cluster.harts {
        let reasons: [ProfileCounter] = [.unlinkedExit, .unknownTarget, .request, .redirection]
        let known = reasons.reduce(UInt64(0)) { $0 + hart.context.word($1.place).pointee }
        #expect(known > 0)
        #expect(known == hart.exits)
        let profile = try #require(hart.profile)
        // Hart 0 turns the machine off, the other stops: one call each, and none comes back.
        #expect(profile.system[Int(SystemOperation.ecall.rawValue)] == 1)
        #expect(profile.slowLoads > 0 && profile.faults == 0)
      }
    }

    /// What was counted before the cache was emptied is not lost.
    @Test func emptiedCache() throws {
      let (cluster, code) = try run(harts: 1, countsInstructions: true)
      let hart = cluster.cluster.harts[0]
      let before = code.profiledBlocks(listings: 1000)
      code.removeAll()
      hart.context.word(ContextLayout.instructionsRetired).pointee = 0
      let after = code.profiledBlocks(listings: 1000)
      #expect(after.map(\.identity) == before.map(\.identity))
      #expect(after.map(\.executedInstructions) == before.map(\.executedInstructions))
      #expect(after[0].listing?.parts.flatMap(\.host) == before[0].listing?.parts.flatMap(\.host))
      #expect(after[0].listing != nil)
    }

    /// A line for each block, of addresses that blocks lie at.
    @Test func perfMap() throws {
      let file = try Descriptor.memory(name: "perf-map")
      let profile = TranslationProfile(
        arenaSize: 4 << 20, countsExecutions: false, perfMap: PerfMap(file),
        name: { Lifter.name(ofBlockAt: $0, key: $1) })
      let cluster = try LockstepCluster(
        .translator, harts: 1, memorySize: 2 << 20, profile: profile, countsInstructions: false)
      let program = Self.program(hart: 0, harts: 1)
      try cluster.write(program.finished(), at: program.base)
      #expect(try cluster.run(entries: [program.base]))
      profile.flush()
      var bytes = [UInt8](repeating: 0, count: Int(try file.size()))
      _ = bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
      let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
        $0.split(separator: " ")
      }
      let code = try #require(cluster.code)
      #expect(lines.count == code.statistics.blocks + 1)
      #expect(
        lines.allSatisfy {
          $0.count == 3 && UInt64($0[0], radix: 16) != nil && UInt64($0[1], radix: 16) != nil
        })
      #expect(lines.contains { $0[2] == "supervisor:0x80000000" })
      // None reaches into the next.
      let places = lines.compactMap { line in
        UInt64(line[0], radix: 16).flatMap { start in UInt64(line[1], radix: 16).map { (start, start + $0) } }
      }.sorted { $0.0 < $1.0 }
      #expect(zip(places, places.dropFirst()).allSatisfy { $0.1 <= $1.0 })
    }
  }
}
