import GuestMemory
import HostSystem
import RISCV
import Testing
import Translator

/// Code that is seen at another address: a copy of a block must be what its translation would be.
@Suite struct CodeCopyTests {
  private static func store(copies: Bool) throws -> CodeStore {
    var options = CodeStore.Options()
    options.arenaSize = 64 << 20
    options.copies = copies
    return try CodeStore(architecture: Lifter.architecture, options: options)
  }

  /// A page of random code, as lockstep programs are made of.
  private static func page(seed: UInt64) -> [UInt8]? {
    let program = LockstepGenerator.program(seed: seed)
    guard let offsets = program.offsets() else { return nil }
    let image = program.image(offsets)
    return image[LockstepGuest.code + 0x1000]
  }

  /// A block as one store has it: its code.
  private struct Block: Equatable {
    var bytes: [UInt8]

    init?(_ store: CodeStore, _ lifter: Lifter, pc: UInt64, page: UnsafeRawPointer, key: UInt64, mode: UInt64)
    {
      let before = (store.statistics.codeBytes + 15) & ~15
      let number = Int(UInt(bitPattern: page) >> 12 & 0xFFFF)
      let found = store.find(
        pc: pc, number: number, page: page, key: key, mode: mode, lifter: lifter, isClaimed: { true })
      guard case .code(let code, _) = found else { return nil }
      bytes = [UInt8](
        UnsafeRawBufferPointer(start: code, count: max(0, store.statistics.codeBytes - before)))
    }

    /// The same, but for the numbers of instructions that are called out for: `mov edx, number; call`.
    func matches(_ other: Block) -> Bool {
      guard bytes.count == other.bytes.count else { return false }
      var index = 0
      while index < bytes.count {
        if index + 5 < bytes.count, bytes[index] == 0xBA, other.bytes[index] == 0xBA, bytes[index + 5] == 0xE8
        {
          index += 5
          continue
        }
        guard bytes[index] == other.bytes[index] else { return false }
        index += 1
      }
      return true
    }
  }

  @Test(arguments: [0, 8] as [UInt64], [0, 1] as [UInt64])
  func copiesAreTranslations(mode: UInt64, key: UInt64) throws {
    let (copying, translating) = (try Self.store(copies: true), try Self.store(copies: false))
    let lifter = Lifter()
    let memory = try Mapping.map(size: 4096)
    var dice = LockstepDice(seed: 7)
    var blocks = 0
    for seed in 0..<200 as Range<UInt64> {
      guard let code = Self.page(seed: seed) else { continue }
      memory.base.copyMemory(from: code, byteCount: 4096)
      // As a writer would have it.
      for store in [copying, translating] {
        store.invalidate(page: Int(UInt(bitPattern: memory.base) >> 12 & 0xFFFF)) {}
      }
      let starts = (0..<24).map { _ in UInt64(dice.below(2040)) * 2 }
      let places = [0x2A_AAAA_0000, 0x3F_1234_5000, 0x2_4000_0000, 0x2A_AAAB_0000] as [UInt64]
      for place in places {
        for start in starts {
          let pc = place + start
          let first = Block(copying, lifter, pc: pc, page: memory.base, key: key, mode: mode)
          let second = Block(translating, lifter, pc: pc, page: memory.base, key: key, mode: mode)
          guard let first, let second else {
            #expect(first == second)
            continue
          }
          blocks += 1
          guard first.matches(second) else {
            Issue.record("seed \(seed), 0x\(String(pc, radix: 16)): the copy is another than the translation")
            return
          }
        }
      }
    }
    #expect(translating.statistics.copies == 0)
    #expect(copying.statistics.copies > blocks / 3)
  }
}
