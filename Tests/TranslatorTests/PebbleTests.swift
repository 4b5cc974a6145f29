import Foundation
import Testing
import Translator

/// Nothing in the translator belongs to one guest architecture: Pebble runs on it too.
@Suite struct PebbleTests {
  /// Writes programs: words, labels by name, addresses of labels in literals.
  struct Writer {
    var bytes: [UInt8] = []
    private var labels: [String: Int] = [:]
    private var fixups: [(offset: Int, label: String)] = []

    mutating func callAsFunction(
      _ operation: Pebble.Operation, _ d: Int = 0, _ a: Int = 0, _ b: Int = 0, short: Int8 = 0,
      literal: Int32 = 0, to label: String? = nil
    ) {
      if let label { fixups.append((bytes.count, label)) }
      bytes += Pebble.Word(operation, d: d, a: a, b: b, short: short, literal: literal).bytes
    }

    mutating func label(_ name: String) { labels[name] = bytes.count }

    mutating func pad(to offset: Int) {
      while bytes.count < offset { self(.nothing) }
    }

    func finished() -> [UInt8] {
      var bytes = bytes
      for fixup in fixups {
        let distance = Int32(labels[fixup.label]! - fixup.offset)
        for index in 0..<4 {
          bytes[fixup.offset + 4 + index] = UInt8(truncatingIfNeeded: distance >> Int32(24 - 8 * index))
        }
      }
      return bytes
    }
  }

  private func store(_ change: (inout CodeStore.Options) -> Void = { _ in }) throws -> CodeStore {
    var options = CodeStore.Options()
    options.arenaSize = 1 << 20
    change(&options)
    return try CodeStore(architecture: PebbleLifter.architecture, options: options)
  }

  /// Runs on both engines; they agree, and this is what they agree on.
  private func run(_ program: [UInt8], budget: Int = 100_000) throws -> PebbleOutcome {
    let expected = PebbleReference.run(program: program, budget: 10_000_000)
    for usesFloat in [false, true] {
      let outcome = try PebbleMachine(program: program, budget: budget, code: store(), usesFloat: usesFloat)
        .run()
      #expect(outcome == expected)
    }
    return expected
  }

  @Test func fibonacci() throws {
    var p = Writer()
    p(.literal, 1, literal: 90)
    p(.literal, 2, literal: 0)
    p(.literal, 3, literal: 1)
    p.label("loop")
    p(.add, 4, 2, 3)
    p(.move, 2, 3)
    p(.move, 3, 4)
    p(.addShort, 1, 1, short: -1)
    p(.jumpNotEqual, 1, 0, to: "loop")
    p(.output, 0, 2)
    p(.halt)
    #expect(try run(p.finished()).output == [2_880_067_194_370_816_120])
  }

  /// Calls through a stack in memory, on both sides of a page's end.
  @Test func recursion() throws {
    var p = Writer()
    p(.literal, 13, literal: 0x8000)
    p(.literal, 1, literal: 20)
    p(.call, to: "fib")
    p(.output, 0, 2)
    p(.halt)
    p.pad(to: 4096 - 40)
    p.label("fib")
    p(.literal, 5, literal: 2)
    p(.jumpLess, 1, 5, to: "small")
    p(.addShort, 13, 13, short: -24)
    p(.store64, 14, 13, short: 0)
    p(.store64, 1, 13, short: 8)
    p(.addShort, 1, 1, short: -1)
    p(.call, to: "fib")
    p(.store64, 2, 13, short: 16)
    p(.load64, 1, 13, short: 8)
    p(.addShort, 1, 1, short: -2)
    p(.call, to: "fib")
    p(.load64, 3, 13, short: 16)
    p(.add, 2, 2, 3)
    p(.load64, 14, 13, short: 0)
    p(.addShort, 13, 13, short: 24)
    p(.jumpTo, 0, 14)
    p.label("small")
    p(.move, 2, 1)
    p(.jumpTo, 0, 14)
    #expect(try run(p.finished()).output == [6765])
  }

  @Test func primes() throws {
    var p = Writer()
    // A sieve of 2000 bytes in a frame that starts near a page's end.
    p(.literal, 10, literal: 0x4FF8)
    p(.frame, 0, 10)
    p(.literal, 6, literal: 2000)
    p(.literal, 1, literal: 2)
    p(.literal, 7, literal: 1)
    p(.literal, 8, literal: 0)
    p.label("next")
    p(.load8, 2, 1)
    p(.jumpNotEqual, 2, 0, to: "skip")
    p(.addShort, 8, 8, short: 1)
    p(.add, 3, 1, 1)
    p.label("strike")
    p(.jumpLess, 6, 3, to: "skip")
    p(.store8, 7, 3)
    p(.add, 3, 3, 1)
    p(.jump, to: "strike")
    p.label("skip")
    p(.addShort, 1, 1, short: 1)
    p(.jumpLess, 1, 6, to: "next")
    p(.output, 0, 8)
    p(.halt)
    #expect(try run(p.finished()).output == [303])
  }

  /// Words are big-endian; accesses beyond memory are faults that change nothing.
  @Test func memoryAndFaults() throws {
    var p = Writer()
    p(.literal, 1, literal: 0x7FFE)
    p(.literal, 2, literal: 0x1234_5678)
    p(.store32, 2, 1, short: 0)
    p(.load8, 3, 1, short: 0)
    p(.output, 0, 3)
    p(.load32, 4, 1, short: 0)
    p(.output, 0, 4)
    p(.literal, 5, literal: 0xFFFC)
    p(.literal, 6, literal: 55)
    p(.load64, 6, 5, short: 0)
    p(.output, 0, 6)
    p(.store64, 6, 5, short: 0)
    p(.literal, 7, literal: -1)
    p(.store32, 7, 5)
    p(.load32, 8, 5)
    p(.output, 0, 8)
    p(.fault)
    p(.halt)
    let outcome = try run(p.finished())
    #expect(outcome.output == [0x12, 0x1234_5678, 55, .max])
    #expect(outcome.faults.count == 3)
    #expect(outcome.memory[0x7FFE..<0x8002] == [0x12, 0x34, 0x56, 0x78])
  }

  /// A program that writes over its own next instruction, and over another page's.
  @Test func selfModifying() throws {
    var p = Writer()
    p(.literal, 9, literal: 5)
    p.label("again")
    p(.literal, 1, literal: 0)
    // The displacement of the instruction at "changed" becomes the loop's count.
    p(.literal, 2, literal: 0x100 + 3)
    p(.store8, 9, 2)
    p(.literal, 3, literal: 0x2003)
    p(.store8, 9, 3)
    p(.jump, to: "changed")
    p.pad(to: 0x100)
    p.label("changed")
    p(.addShort, 1, 1, short: 0)
    p(.output, 0, 1)
    p(.call, to: "far")
    p(.addShort, 9, 9, short: -1)
    p(.jumpNotEqual, 9, 0, to: "again")
    p(.halt)
    p.pad(to: 0x2000)
    p.label("far")
    p(.addShort, 1, 1, short: 0)
    p(.output, 0, 1)
    p(.jumpTo, 0, 14)
    #expect(try run(p.finished()).output == [5, 10, 4, 8, 3, 6, 2, 4, 1, 2])
  }

  /// What one CPU by itself can tell of exchanges, of the machine's own registers, and of numbers with a point.
  @Test func partsOfAllSorts() throws {
    var p = Writer()
    p(.literal, 1, literal: 0x7000)
    p(.literal, 2, literal: 0x1234)
    for short in [0, 0, 3, 3] as [Int8] {
      p(.exchange, 3, 1, 2, short: short)
      p(.output, 0, 3)
      p(.barrier)
    }
    p(.load64, 4, 1, short: 0)
    p(.output, 0, 4)
    p(.takeNote, 5, 2)
    p(.note, 6)
    p(.output, 0, 6)
    p(.mask, 7)
    p(.unmask)
    p(.mask, 8)
    p(.output, 0, 7)
    p(.output, 0, 8)
    // 1.5 + 2.25, and infinity less infinity.
    p(.literal, 9, literal: 0x3FF8_0000)
    p(.literal, 10, literal: 0x4002_0000)
    p(.literal, 11, literal: 32)
    p(.shiftLeft, 9, 9, 11)
    p(.shiftLeft, 10, 10, 11)
    p(.addReal, 9, 9, 10)
    p(.output, 0, 9)
    p(.literal, 9, literal: 0x7FF0_0000)
    p(.literal, 10, literal: -0x10_0000)
    p(.shiftLeft, 9, 9, 11)
    p(.shiftLeft, 10, 10, 11)
    p(.addReal, 9, 9, 10)
    p(.output, 0, 9)
    p(.mask, 7)
    p(.halt)
    #expect(
      try run(p.finished()).output == [
        0, 0x1234, 0x12_3400_0000, 0x1234, 0, 0x1234, 0, 8,
        (3.75).bitPattern, 0x7FF8_0000_0000_0000,
      ])
  }

  /// An instruction of eight bytes whose halves are on two pages, the second of which is written to.
  @Test func overAPagesEnd() throws {
    var p = Writer()
    p(.literal, 9, literal: 4)
    p(.literal, 2, literal: 0x1003)
    p.label("again")
    p(.jump, to: "end")
    p.pad(to: 0xFFC)
    p.label("end")
    p(.literal, 1, literal: 0x100)
    p(.output, 0, 1)
    p(.store8, 9, 2)
    p(.addShort, 9, 9, short: -1)
    p(.jumpNotEqual, 9, 0, to: "again")
    p(.halt)
    #expect(try run(p.finished()).output == [0x100, 0x104, 0x103, 0x102])
  }

  /// Programs of chance: whatever they do, both engines do the same. They go forward only, but for calls.
  @Test(arguments: [true, false])
  func random(links: Bool) throws {
    var dice = Dice(seed: 10)
    var halted = 0
    var faults = 0
    for seed in 0..<400 as Range<UInt64> {
      var program: [UInt8] = []
      let end = 3 * 4096 + Int(dice.next() % 1000) * 4
      while program.count < end {
        var word = Pebble.Word(
          .allCases.randomElement(using: &dice)!, d: Int(dice.next() & 15), a: Int(dice.next() & 15),
          b: Int(dice.next() & 15), short: Int8(truncatingIfNeeded: dice.next()),
          literal: Int32(truncatingIfNeeded: dice.operand()))
        switch word.operation {
        case .halt, .jumpTo, .frame: if dice.next() & 15 != 0 { continue }
        case .jumpEqual, .jumpNotEqual, .jumpLess, .jump, .call:
          word.literal = Int32(8 + 4 * (dice.next() % 40))
        case .store8, .store32, .store64, .exchange:
          // The last pages are data; whole programs of self-modifying code would only fault.
          if dice.next() & 7 != 0 { word.a = 12 }
        default: break
        }
        // Registers 12 and 13 point to data.
        if (12...13).contains(word.d) { word.d = 11 }
        program += word.bytes
      }
      program =
        Pebble.Word(.literal, d: 12, literal: 0x8000 + Int32(dice.next() & 0x1FFF)).bytes
        + Pebble.Word(.literal, d: 13, literal: 0xFF00).bytes + program + [0, 0, 0, 0]
      let code = try store {
        $0.links = links
        $0.arenaSize = 256 << 10
        if seed & 1 == 1 {
          $0.features = HostFeatures(
            bitCounts: false, flaglessShifts: false, fusedMultiplyAdd: false, threeOperands: false)
        }
      }
      // A program may loop through a computed jump: both give up, in places of their own.
      let expected = PebbleReference.run(program: program, budget: 200_000)
      guard expected.didHalt else { continue }
      let outcome = try PebbleMachine(
        program: program, budget: 400_000, code: code, usesFloat: seed % 3 == 0
      ).run()
      halted += 1
      faults += outcome.faults.count
      #expect(outcome == expected, "seed \(seed): \(difference(outcome, expected))")
      if outcome != expected { break }
    }
    #expect(halted > 300)
    #expect(faults > 300)
  }

  private func difference(_ a: PebbleOutcome, _ b: PebbleOutcome) -> String {
    if let index = a.registers.indices.first(where: { a.registers[$0] != b.registers[$0] }) {
      return "register \(index) is \(a.registers[index]), not \(b.registers[index])"
    }
    if let index = zip(a.faults, b.faults).enumerated().first(where: { $0.element.0 != $0.element.1 }) {
      return "fault \(index)"
    }
    return
      "\(a.output.count) and \(b.output.count) words of output, \(a.faults.count) and \(b.faults.count) faults"
  }

  /// The words of guest architectures that have no place in the translator's sources.
  @Test func sourcesAreNeutral() throws {
    let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Sources/Translator")
    let all = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
    let files = all.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    #expect(files.count > 10)
    let words = try Regex(
      #"\b(risc-?v\w*|rv(32|64)\w*|harts?|csrs?|sv(39|48|57)|satp|[ms]status|[ms]cause|[ms]tval|[ms]epc|stvec|sfence\w*|"#
        + #"ecall|sret|mret|wfi|fcsr|frm|fflags|sbi|plic|clint|aarch64|armv8|nzcv|vbar|ttbr\d?|svadu|sstc)\b"#
    ).ignoresCase()
    for file in files {
      let text = try String(contentsOf: file, encoding: .utf8)
      for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        #expect(line.firstMatch(of: words) == nil, "\(file.lastPathComponent):\(number + 1): \(line)")
      }
    }
  }
}
