/// Numbers of model-specific registers (Intel SDM volume 4).
enum MSRIndex {
  static let tsc: UInt32 = 0x10
  static let tscAdjust: UInt32 = 0x3B
  static let machineCheckCapability: UInt32 = 0x179
  static let miscellaneousEnable: UInt32 = 0x1A0
  static let memoryTypeDefault: UInt32 = 0x2FF
  static let tscDeadline: UInt32 = 0x6E0

  /// Memory type ranges, which KVM's own list leaves out: eight variable ones of two registers, the fixed ones,
  /// the default.
  private static let memoryTypes: [UInt32] =
    Array(0x200...0x20F) + [0x250, 0x258, 0x259] + Array(0x268...0x26F) + [memoryTypeDefault]

  /// Each bank of machine checks has four registers, and KVM at most 32 banks.
  private static let machineChecks: [UInt32] = Array(0x400..<0x400 + 4 * 32)

  /// Every register that belongs to a CPU's state, given those that KVM lists. The time-stamp counter comes
  /// first, because others are relative to it.
  static func all(_ listed: [UInt32]) -> [UInt32] {
    var seen: Set<UInt32> = []
    return ([tsc] + listed + memoryTypes + machineChecks).filter { seen.insert($0).inserted }
  }
}
