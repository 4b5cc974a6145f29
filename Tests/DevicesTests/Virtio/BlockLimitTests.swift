import Devices
import HostSystem
import Testing

/// Rates of disks, on a clock that the test turns.
@Suite struct BlockLimitTests {
  private static let second: UInt64 = 1_000_000_000

  /// Begins requests of `count` bytes one behind the other as soon as each may; returns the moments.
  private func begins(_ limit: inout BlockLimit, requests: Int, count: Int, from now: UInt64) -> [UInt64] {
    var now = now
    return (0..<requests).map { _ in
      now = max(now, limit.nextBegin)
      limit.charge(count, at: now)
      return now
    }
  }

  @Test func bytesAreHeldToTheirRate() {
    var limit = BlockLimit(bytes: 10 << 20, requests: nil)
    let moments = begins(&limit, requests: 200, count: 1 << 20, from: 5 * Self.second)
    // 200 MiB at 10 MiB a second: what an idle disk may do at once, and then 10 a second.
    #expect(moments[0] == moments[1])
    let seconds = Double(moments[199] - moments[0]) / 1e9
    #expect(abs(seconds - 19.8) < 0.2, "\(seconds)")
  }

  @Test func requestsAreHeldToTheirRate() {
    var limit = BlockLimit(bytes: nil, requests: 100)
    let moments = begins(&limit, requests: 1001, count: 1 << 20, from: 7)
    #expect(abs(Double(moments[1000] - moments[0]) / 1e9 - 9.9) < 0.1)
  }

  @Test func theSlowerRateCounts() {
    var limit = BlockLimit(bytes: 1 << 20, requests: 1000)
    let moments = begins(&limit, requests: 101, count: 64 << 10, from: 0)
    #expect(abs(Double(moments[100] - moments[0]) / 1e9 - 6.15) < 0.1)
  }

  /// A request larger than what a second admits is carried out whole, and paid for afterwards.
  @Test func largeRequestsAreNotStarved() {
    var limit = BlockLimit(bytes: 1 << 20, requests: nil)
    let moments = begins(&limit, requests: 3, count: 4 << 20, from: Self.second)
    #expect(moments[0] == Self.second)
    #expect(moments[1] == Self.second + 4 * Self.second - BlockLimit.slack)
  }

  /// Time that nothing was moved in is not saved up.
  @Test func idleTimeIsNotSavedUp() {
    var limit = BlockLimit(bytes: nil, requests: 10)
    _ = begins(&limit, requests: 5, count: 512, from: 0)
    let moments = begins(&limit, requests: 21, count: 512, from: 1000 * Self.second)
    #expect(moments[20] >= 1000 * Self.second + 19 * Self.second / 10)
  }

  @Test func noRateIsNoLimit() {
    var limit = BlockLimit(bytes: 0, requests: nil)
    #expect(limit.isNone)
    #expect(begins(&limit, requests: 9, count: .max, from: 3) == [UInt64](repeating: 3, count: 9))
  }

  @Test func theLargestNumbersOverflowNothing() {
    var limit = BlockLimit(bytes: 1, requests: 1)
    limit.charge(.max, at: .max - 5)
    limit.charge(.max, at: .max)
    #expect(limit.nextBegin == .max - BlockLimit.slack)
  }
}
