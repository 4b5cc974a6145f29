import Foundation
import Testing
import VolaryAPI

/// Foundation's calendar is the oracle.
@Suite struct TimestampTests {
  @Test func agreesWithFoundation() throws {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      // From the year 1583, since which the calendar of all is this one, to 9999.
      let seconds = Int64.random(in: -12_212_553_600...253_402_300_799, using: &generator)
      let moment = Timestamp(microseconds: seconds * 1_000_000)
      let expected = Date(timeIntervalSince1970: TimeInterval(seconds)).ISO8601Format()
      #expect(moment.description == expected)
      #expect(Timestamp(expected) == moment)
    }
  }

  @Test(arguments: [
    ("2026-03-01T12:00:00Z", 1_772_366_400_000_000), ("2026-03-01T12:00:00.5Z", 1_772_366_400_500_000),
    ("2026-03-01T13:30:00.000001+01:30", 1_772_366_400_000_001),
    ("2015-11-17T22:32:02.226176091-05:00", 1_447_817_522_226_176),
    ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
  ])
  func readsRFC3339(_ text: String, _ microseconds: Int) throws {
    let moment = try #require(Timestamp(text))
    #expect(moment.microseconds == Int64(microseconds))
    #expect(Timestamp(moment.description) == moment)
  }

  @Test(arguments: [
    "", "2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01 00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z",
    "2026-01-01T00:00:00Zx",
    "2026-01-01T00:00:00+1:00", "-026-01-01T00:00:00Z",
  ])
  func refusesTheRest(_ text: String) { #expect(Timestamp(text) == nil) }
}
