internal import CHost

/// Instruction-set extensions of the host that generated code makes use of.
package struct HostFeatures: Sendable {
  /// LZCNT, TZCNT and POPCNT with their defined results for zero.
  package var bitCounts: Bool
  /// BMI2: shifts by any register that leave the flags alone.
  package var flaglessShifts: Bool
  /// FMA3.
  package var fusedMultiplyAdd: Bool
  /// AVX, for its scalar arithmetic with three operands; SSE4.1 comes with it.
  package var threeOperands: Bool

  package init(bitCounts: Bool, flaglessShifts: Bool, fusedMultiplyAdd: Bool, threeOperands: Bool) {
    self.bitCounts = bitCounts
    self.flaglessShifts = flaglessShifts
    self.fusedMultiplyAdd = fusedMultiplyAdd
    self.threeOperands = threeOperands
  }

  /// What this host has.
  package static let host: HostFeatures = {
    let bits = volary_cpu_features()
    return HostFeatures(
      bitCounts: bits & 1 != 0, flaglessShifts: bits & 2 != 0, fusedMultiplyAdd: bits & 4 != 0,
      threeOperands: bits & 8 != 0)
  }()
}
