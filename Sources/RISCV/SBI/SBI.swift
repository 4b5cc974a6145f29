/// Numbers of the supervisor binary interface (RISC-V SBI Specification 2.0).
enum SBI {
  /// Extension identifiers, in a7.
  enum Extension {
    static let base: UInt64 = 0x10
    static let timer: UInt64 = 0x5449_4D45
    static let interprocessorInterrupt: UInt64 = 0x73_5049
    static let remoteFence: UInt64 = 0x5246_4E43
    static let hartState: UInt64 = 0x48_534D
    static let systemReset: UInt64 = 0x5352_5354
    static let debugConsole: UInt64 = 0x4442_434E
    static let all: Set<UInt64> = [
      base, timer, interprocessorInterrupt, remoteFence, hartState, systemReset, debugConsole,
    ]
  }

  /// Standard error codes, in a0.
  enum Failure: Int64, Error {
    case failed = -1
    case notSupported = -2
    case invalidParameter = -3
    case denied = -4
    case invalidAddress = -5
    case alreadyAvailable = -6
  }

  /// Version 2.0 of the specification.
  static let specificationVersion: UInt64 = 2 << 24
  /// Volary's number among implementations; none is registered, so it is outside the registered ones.
  static let implementation: UInt64 = 0x564F
  static let implementationVersion: UInt64 = 1
}
