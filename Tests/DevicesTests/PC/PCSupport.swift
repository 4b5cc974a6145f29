internal import Devices
internal import GuestMemory
internal import Synchronization

/// Collects messages that would go to local APICs.
final class PCMessages: MSISink {
  private let guarded = Mutex<[MSIMessage]>([])

  func signal(_ message: MSIMessage) { guarded.withLock { $0.append(message) } }

  /// The messages since the last call.
  func take() -> [MSIMessage] {
    guarded.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}

/// A clock among I/O ports, and its host.
struct PCClock {
  /// Thursday, 2024-02-29 23:59:57.25.
  static let start: UInt64 = 1_709_251_197_250_000_000
  let sink = PlatformSink()
  let host: PlatformClock
  let device: CMOSClock

  init(now: UInt64 = start) {
    host = PlatformClock(now: now)
    device = CMOSClock(interrupt: sink.line, clock: { [host] in host.now }, scheduler: host)
  }

  func read(_ register: UInt8) throws -> UInt8 {
    try device.writePort(offset: 0, width: 1, value: UInt32(register))
    return UInt8(try device.readPort(offset: 1, width: 1))
  }

  func write(_ register: UInt8, _ value: UInt8) throws {
    try device.writePort(offset: 0, width: 1, value: UInt32(register))
    try device.writePort(offset: 1, width: 1, value: UInt32(value))
  }

  /// Century, year, month, day, weekday, hour, minute, second.
  func readTime() throws -> [UInt8] { try [0x32, 9, 8, 7, 6, 4, 2, 0].map { try read($0) } }

  func pass(_ nanoseconds: UInt64) { host.set(host.now + nanoseconds) }
}

let pcSecond: UInt64 = 1_000_000_000
