internal import CHost
internal import Glibc

/// A process that this one may not have started: a machine that outlived whoever did.
package final class ForeignProcess: Sendable {
  /// Which process is meant, also when its number has become another's.
  package struct Identity: Equatable, Hashable, Sendable {
    package let identifier: Int32
    /// When it started, in clock ticks since the host did (proc(5), field 22 of stat).
    package let startTime: UInt64

    package init(identifier: Int32, startTime: UInt64) {
      self.identifier = identifier
      self.startTime = startTime
    }

    /// Of the process that has this number now; nil when none has.
    package init?(of identifier: Int32) {
      guard let file = try? Descriptor.open("/proc/\(identifier)/stat", O_RDONLY),
        let bytes = try? file.read(4096, at: 0)
      else { return nil }
      // The name before the last parenthesis may hold anything.
      guard let close = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
      let fields = bytes[(close + 1)...].split(separator: UInt8(ascii: " "))
      guard fields.count > 19, let time = UInt64(String(decoding: fields[19], as: UTF8.self)) else {
        return nil
      }
      self.init(identifier: identifier, startTime: time)
    }
  }

  package let identity: Identity
  /// Becomes readable when the process has ended.
  package let descriptor: Descriptor

  /// Takes hold of a process; nil when it is gone.
  package init?(_ identity: Identity) throws(Errno) {
    self.identity = identity
    let pidfd = volary_pidfd_open(identity.identifier)
    if pidfd == -ESRCH { return nil }
    descriptor = Descriptor(owning: try check(pidfd))
    // What has the number and the time now has had them since before the descriptor was made.
    guard Identity(of: identity.identifier) == identity else { return nil }
  }

  /// Whether it ends within `milliseconds` (-1: waits for ever).
  package func hasEnded(within milliseconds: Int32 = 0) -> Bool {
    var entry = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
    return ((try? retrying { Int(poll(&entry, 1, milliseconds)) }) ?? 0) > 0
  }

  /// Sends it a signal; one that has ended gets none.
  package func signal(_ number: Int32) throws(Errno) {
    let status = volary_pidfd_signal(descriptor.raw, number)
    if status != -ESRCH { try check(status) }
  }
}
