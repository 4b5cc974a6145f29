internal import Assembler

/// What a block of a profiled machine does beside its work, and what is noted about it.
extension CodeGenerator {
  /// Counts that execution comes here: to instruction `index`, the block's first or one behind a branch.
  mutating func countExecution(from index: Int) {
    guard let made = profile, let first = made.firstCounter else { return }
    let counters = fresh()
    assembler.mov(.w64, counters, field(ContextLayout.blockCounters))
    assembler.inc(.w64, Address(base: counters, displacement: Int32((first + made.segments.count) * 8)))
    profile?.segments.append(Int32(index))
  }

  /// Notes that the code of the instruction at `pc` begins here. The first mark is the block's beginning.
  mutating func markInstruction(start: UInt64, entry: Int) {
    profile?.marks.append(
      TranslationProfile.Mark(
        guest: Int32(truncatingIfNeeded: pc &- start), host: Int32(assembler.offset - entry)))
  }

  /// Notes that the block's cold code begins here.
  mutating func markCold(start: UInt64, entry: Int) {
    profile?.guestLength = Int32(truncatingIfNeeded: pc &- start)
    profile?.cold = assembler.offset - entry
  }
}
