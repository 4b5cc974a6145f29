import HostSystem
import Synchronization
import Testing
import Translator

/// The table that finds blocks, against a dictionary.
@Suite struct FlatTableTests {
  @Test func asADictionary() throws {
    var table = try FlatTable()
    let reader = table.reader
    var expected: [UInt64: UInt64] = [:]
    var dice = Dice(seed: 4)
    // More keys than the table has room for at first.
    let keys = 30_000 as UInt64
    for round in 0..<200_000 {
      let key = dice.next() % keys + 1
      let value = round % 3 == 0 ? 0 : dice.next() | 1
      let isSet = table.set(key, to: value)
      #expect(isSet)
      expected[key] = value == 0 ? nil : value
      if round == 120_000 {
        table.removeAll()
        expected = [:]
      }
      if round % 40_000 == 0 {
        #expect((1...keys + 9).allSatisfy { reader[$0] == expected[$0] ?? 0 })
      }
    }
    #expect((1...keys + 9).allSatisfy { reader[$0] == expected[$0] ?? 0 })
  }

  private final class Shared: Sendable {
    let isOver = Atomic<Bool>(false)
    let wrong = Atomic<Int>(0)
    let found = Atomic<Int>(0)
  }

  /// Readers see a key's value, or none while the table grows, and never another's.
  @Test func readWhileItGrows() throws {
    var table = try FlatTable()
    let reader = table.reader
    let shared = Shared()
    let threads = try (0..<2).map { number in
      try Thread.start(name: "reader \(number)") {
        var dice = Dice(seed: UInt64(number))
        var (wrong, found) = (0, 0)
        while !shared.isOver.load(ordering: .acquiring) {
          let key = dice.next() % 100_000 + 1
          let value = reader[key]
          if value != 0 { if value &>> 8 == key { found += 1 } else { wrong += 1 } }
        }
        shared.wrong.add(wrong, ordering: .relaxed)
        shared.found.add(found, ordering: .relaxed)
      }
    }
    for round in 1...20 as ClosedRange<UInt64> {
      for key in 1...100_000 as ClosedRange<UInt64> { _ = table.set(key, to: key << 8 | round) }
    }
    shared.isOver.store(true, ordering: .releasing)
    for thread in threads { thread.join() }
    #expect(shared.wrong.load(ordering: .relaxed) == 0)
    #expect(shared.found.load(ordering: .relaxed) > 0)
  }
}
