internal import CHost
internal import Glibc

/// A counter that wakes pollers (eventfd(2)).
package final class EventCounter: Sendable {
  package let descriptor: Descriptor

  package init() throws(Errno) { descriptor = Descriptor(owning: try check(volary_eventfd(0))) }

  /// Adds one; never blocks.
  package func signal() {
    var one: UInt64 = 1
    _ = Glibc.write(descriptor.raw, &one, 8)
  }

  /// Resets the counter; true if it was signalled.
  @discardableResult
  package func drain() -> Bool {
    var count: UInt64 = 0
    return Glibc.read(descriptor.raw, &count, 8) == 8
  }
}

/// Readiness of many descriptors (epoll(7)), level-triggered.
package final class Poller: Sendable {
  /// Which readiness is meant: the EPOLL* bits.
  package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let read = Interest(rawValue: 0x001)
    package static let write = Interest(rawValue: 0x004)
    package static let error = Interest(rawValue: 0x008)
    package static let hangUp = Interest(rawValue: 0x010)
  }

  /// One ready descriptor: the token it was added with and what it is ready for.
  package struct Event: Sendable {
    package let token: UInt64
    package let readiness: Interest
  }

  private let descriptor: Descriptor

  package init() throws(Errno) { descriptor = Descriptor(owning: try check(volary_epoll_create())) }

  package func add(_ fd: Int32, _ interest: Interest, token: UInt64) throws(Errno) {
    try check(volary_epoll_control(descriptor.raw, 1, fd, interest.rawValue, token))
  }

  package func modify(_ fd: Int32, _ interest: Interest, token: UInt64) throws(Errno) {
    try check(volary_epoll_control(descriptor.raw, 2, fd, interest.rawValue, token))
  }

  package func remove(_ fd: Int32) throws(Errno) {
    try check(volary_epoll_control(descriptor.raw, 3, fd, 0, 0))
  }

  /// Waits up to `milliseconds` (-1: for ever); empty on time-out or signal.
  package func wait(milliseconds: Int32 = -1) throws(Errno) -> [Event] {
    var events = [UInt32](repeating: 0, count: 64)
    var tokens = [UInt64](repeating: 0, count: 64)
    let count = volary_epoll_wait(descriptor.raw, &events, &tokens, 64, milliseconds)
    if count == -EINTR { return [] }
    let ready = Int(try check(count))
    return (0..<ready).map { Event(token: tokens[$0], readiness: Interest(rawValue: events[$0])) }
  }
}
