/// What a disk may move for its driver: bytes and requests a second; nil for as much as it can.
package struct BlockRates: Equatable, Sendable {
  package var readBytes: UInt64?
  package var writtenBytes: UInt64?
  package var reads: UInt64?
  package var writes: UInt64?

  package init(
    readBytes: UInt64? = nil, writtenBytes: UInt64? = nil, reads: UInt64? = nil, writes: UInt64? = nil
  ) {
    self.readBytes = readBytes
    self.writtenBytes = writtenBytes
    self.reads = reads
    self.writes = writes
  }
}

/// Holds one direction of a disk to its rates. What was moved is counted as a moment up to which it is paid for; a
/// request may begin as long as that is not too far ahead, whatever its size, and the ones behind it wait the longer.
package struct BlockLimit: Equatable, Sendable {
  /// How far ahead of its rate a disk may be that was idle, in nanoseconds.
  package static let slack: UInt64 = 100_000_000

  private let bytes: UInt64?
  private let requests: UInt64?
  /// Nanoseconds on the clock until which what was moved is paid for, in bytes and in requests.
  private var paidBytes: UInt64 = 0
  private var paidRequests: UInt64 = 0

  /// Rates a second; nil, or zero, is none.
  package init(bytes: UInt64?, requests: UInt64?) {
    self.bytes = bytes == 0 ? nil : bytes
    self.requests = requests == 0 ? nil : requests
  }

  package var isNone: Bool { bytes == nil && requests == nil }

  /// When the next request may begin, on the same clock as ``charge(_:at:)``.
  package var nextBegin: UInt64 {
    let paid = max(paidBytes, paidRequests)
    return paid > Self.slack ? paid - Self.slack : 0
  }

  /// Counts a request of so many bytes that begins now.
  package mutating func charge(_ count: Int, at now: UInt64) {
    if let bytes { Self.charge(&paidBytes, UInt64(clamping: count), rate: bytes, at: now) }
    if let requests { Self.charge(&paidRequests, 1, rate: requests, at: now) }
  }

  private static func charge(_ paid: inout UInt64, _ amount: UInt64, rate: UInt64, at now: UInt64) {
    let (product, isTooMuch) = amount.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflows) = max(paid, now).addingReportingOverflow((isTooMuch ? .max : product) / rate)
    paid = overflows ? .max : sum
  }
}
