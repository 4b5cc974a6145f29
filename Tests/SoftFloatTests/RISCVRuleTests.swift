import SoftFloat
import Testing

/// What the RISC-V specification says in so many words, as its tables and sentences say it.
@Suite struct RISCVRuleTests {
  private static let quiet: UInt64 = 0x7FF8_0000_0000_0001
  private static let signaling: UInt64 = 0x7FF0_0000_0000_0001
  private static let canonical: UInt64 = 0x7FF8_0000_0000_0000
  private static let infinity: UInt64 = 0x7FF0_0000_0000_0000

  @Test func encodings() {
    #expect(RoundingMode.allCases.map(\.rawValue) == [0, 1, 2, 3, 4])
    #expect([5, 6, 7].compactMap(RoundingMode.init(rawValue:)).isEmpty)
    let flags: [ExceptionFlags] = [.inexact, .underflow, .overflow, .divideByZero, .invalid]
    #expect(flags.map(\.rawValue) == [1, 2, 4, 8, 16])
    #expect(Binary32.canonicalNaN == 0x7FC0_0000)
    #expect(Binary64.canonicalNaN == Self.canonical)
  }

  @Test func flagsAccrue() {
    var flags: ExceptionFlags = []
    let one = (1.0).bitPattern
    _ = Binary64.div(one, 0, .nearestEven, &flags)
    #expect(flags == .divideByZero)
    _ = Binary64.div(one, (3.0).bitPattern, .nearestEven, &flags)
    #expect(flags == [.divideByZero, .inexact])
    _ = Binary64.add(one, one, .nearestEven, &flags)
    #expect(flags == [.divideByZero, .inexact])
    _ = Binary64.sqrt((-1.0).bitPattern, .nearestEven, &flags)
    #expect(flags == [.divideByZero, .inexact, .invalid])
  }

  /// One row of "Domains of float-to-integer conversions and behavior for invalid inputs".
  struct Domain: Sendable, CustomTestStringConvertible {
    let kind: IntegerKind
    let minimum: Int128
    let maximum: Int128
    var testDescription: String { "\(kind)" }
  }

  static let domains = [
    Domain(kind: .int32, minimum: -0x8000_0000, maximum: 0x7FFF_FFFF),
    Domain(kind: .uint32, minimum: 0, maximum: 0xFFFF_FFFF),
    Domain(kind: .int64, minimum: -0x8000_0000_0000_0000, maximum: 0x7FFF_FFFF_FFFF_FFFF),
    Domain(kind: .uint64, minimum: 0, maximum: 0xFFFF_FFFF_FFFF_FFFF),
  ]

  @Test(arguments: domains) func integerDomains64(_ domain: Domain) { checkDomain(Binary64.self, domain) }
  @Test(arguments: domains) func integerDomains32(_ domain: Domain) { checkDomain(Binary32.self, domain) }

  private func checkDomain<Format: HostFormat>(_: Format.Type, _ domain: Domain) {
    func expect(_ value: Format.Native, _ expected: Int128, _ flags: ExceptionFlags) {
      for rounding in RoundingMode.allCases {
        let actual = Format.softInteger(domain.kind, rounding, Format.bits(value))
        #expect(actual == (expected, flags), "\(value) \(rounding)")
      }
    }
    // Outside: far, next to the range, infinite; and NaNs of either sign.
    let beyond = Format.Native(domain.maximum + 1)
    let below = Format.Native(domain.minimum - 1)
    expect(-.infinity, domain.minimum, .invalid)
    expect(-.greatestFiniteMagnitude, domain.minimum, .invalid)
    expect(below < Format.Native(domain.minimum) ? below : below.nextDown, domain.minimum, .invalid)
    expect(beyond, domain.maximum, .invalid)
    expect(.greatestFiniteMagnitude, domain.maximum, .invalid)
    expect(.infinity, domain.maximum, .invalid)
    expect(.nan, domain.maximum, .invalid)
    expect(-.nan, domain.maximum, .invalid)
    expect(.signalingNaN, domain.maximum, .invalid)
    // Inside, the ends.
    expect(Format.Native(domain.minimum), domain.minimum, [])
    expect(-0.0, 0, [])
    expect(beyond.nextDown.rounded(.down), Int128(beyond.nextDown.rounded(.down)), [])
  }

  /// A value is judged after it is rounded: -0.7 is a valid unsigned zero when rounded toward zero.
  @Test func domainAppliesAfterRounding() {
    let value = UInt64((-0.7).bitPattern)
    #expect(Binary64.softInteger(.uint32, .towardZero, value) == (0, .inexact))
    #expect(Binary64.softInteger(.uint32, .up, value) == (0, .inexact))
    #expect(Binary64.softInteger(.uint32, .nearestEven, value) == (0, .invalid))
    #expect(Binary64.softInteger(.uint32, .down, value) == (0, .invalid))
    let high = (2147483647.5).bitPattern
    #expect(Binary64.softInteger(.int32, .towardZero, high) == (2_147_483_647, .inexact))
    #expect(Binary64.softInteger(.int32, .nearestEven, high) == (2_147_483_647, .invalid))
  }

  /// "invalid [...] when the multiplicands are infinity and zero, even when the addend is a quiet NaN".
  @Test func infinityTimesZeroPlusNaN() {
    for (a, b) in [(Self.infinity, 0), (0, Self.infinity), (Self.infinity, 1 << 63)] as [(UInt64, UInt64)] {
      var flags: ExceptionFlags = []
      #expect(Binary64.fusedMultiplyAdd(a, b, Self.quiet, .nearestEven, &flags) == Self.canonical)
      #expect(flags == .invalid)
    }
  }

  @Test func minimumAndMaximum() {
    let one = (1.0).bitPattern
    let negativeZero: UInt64 = 1 << 63
    let rows: [(a: UInt64, b: UInt64, minimum: UInt64, maximum: UInt64, flags: ExceptionFlags)] = [
      (negativeZero, 0, negativeZero, 0, []), (0, negativeZero, negativeZero, 0, []),
      (Self.quiet, one, one, one, []), (one, Self.quiet, one, one, []),
      (Self.signaling, one, one, one, .invalid), (one, Self.signaling, one, one, .invalid),
      (Self.quiet, Self.quiet, Self.canonical, Self.canonical, []),
      (Self.quiet, Self.signaling, Self.canonical, Self.canonical, .invalid),
    ]
    for row in rows {
      var flags: ExceptionFlags = []
      #expect(Binary64.min(row.a, row.b, &flags) == row.minimum)
      #expect(flags == row.flags)
      flags = []
      #expect(Binary64.max(row.a, row.b, &flags) == row.maximum)
      #expect(flags == row.flags)
    }
  }

  /// FEQ is quiet; FLT and FLE raise invalid for any NaN.
  @Test func comparisonsOfNaNs() {
    var flags: ExceptionFlags = []
    #expect(!Binary64.eq(Self.quiet, Self.quiet, &flags) && flags.isEmpty)
    #expect(!Binary64.eq(Self.signaling, 0, &flags) && flags == .invalid)
    flags = []
    #expect(!Binary64.lt(Self.quiet, 0, &flags) && flags == .invalid)
    flags = []
    #expect(!Binary64.le(0, Self.quiet, &flags) && flags == .invalid)
  }

  @Test func boxing() {
    #expect(Binary32.box(0x3F80_0000) == 0xFFFF_FFFF_3F80_0000)
    #expect(Binary32.unbox(0xFFFF_FFFF_3F80_0000) == 0x3F80_0000)
    #expect(Binary32.unbox(0xFFFF_FFFF_FFFF_FFFF) == 0xFFFF_FFFF)
    #expect(Binary32.unbox(0xFFFF_FFFF_0000_0000) == 0)
    for register in [0, 0x3F80_0000, 0xFFFF_FFFE_3F80_0000, 0x7FFF_FFFF_3F80_0000] as [UInt64] {
      #expect(Binary32.unbox(register) == 0x7FC0_0000)
    }
  }
}
