import Assembler

/// What an assembler says of itself, copied: the test macros take no noncopyable values.
struct AssemblerState {
  let failed: Bool
  let overflowed: Bool
  let outOfReach: Bool
  let labelsExhausted: Bool
}

extension X86Assembler {
  var state: AssemblerState {
    AssemblerState(
      failed: failed, overflowed: overflowed, outOfReach: outOfReach, labelsExhausted: labelsExhausted)
  }
}
