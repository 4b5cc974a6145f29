internal import CSlirp
internal import Glibc
internal import HostSystem

/// A timer that libslirp asked for.
final class SlirpTimer {
  let identity: SlirpTimerId
  /// What libslirp wants back when the timer fires.
  let opaque: UnsafeMutableRawPointer?
  /// Milliseconds of the monotonic clock; nil while the timer is not set.
  var deadline: Int64?

  init(_ identity: SlirpTimerId, opaque: UnsafeMutableRawPointer?) {
    self.identity = identity
    self.opaque = opaque
  }
}

/// What libslirp calls, all on the stack's thread.
extension SlirpStack {
  static func from(_ opaque: UnsafeMutableRawPointer?) -> SlirpStack {
    guard let opaque else { preconditionFailure("libslirp lost the stack's pointer") }
    return Unmanaged<SlirpStack>.fromOpaque(opaque).takeUnretainedValue()
  }

  static func callbackTable() -> SlirpCb {
    var table = SlirpCb()
    table.send_packet = { bytes, count, opaque in
      SlirpStack.from(opaque).send(UnsafeRawBufferPointer(start: bytes, count: count))
      return count
    }
    table.guest_error = { message, opaque in
      if let message { SlirpStack.from(opaque).report(String(cString: message)) }
    }
    table.clock_get_ns = { _ in Int64(monotonicNanoseconds()) }
    table.timer_new_opaque = { identity, timerOpaque, opaque in
      let timer = SlirpTimer(identity, opaque: timerOpaque)
      SlirpStack.from(opaque).timers.append(timer)
      return Unmanaged.passUnretained(timer).toOpaque()
    }
    table.timer_free = { timer, opaque in
      SlirpStack.from(opaque).timers.removeAll { Unmanaged.passUnretained($0).toOpaque() == timer }
    }
    table.timer_mod = { timer, deadline, _ in
      guard let timer else { return }
      Unmanaged<SlirpTimer>.fromOpaque(timer).takeUnretainedValue().deadline = deadline
    }
    // The loop asks for all descriptors anew each time and runs on this very thread, so there is
    // nothing to register and nobody to wake.
    table.register_poll_fd = { _, _ in }
    table.unregister_poll_fd = { _, _ in }
    table.notify = { _ in }
    table.init_completed = { _, _ in }
    return table
  }

  /// libslirp's readiness bits, and poll(2)'s.
  private static let readinessBits: [(slirp: Int32, poll: Int32)] = [
    (Int32(SLIRP_POLL_IN), POLLIN), (Int32(SLIRP_POLL_OUT), POLLOUT),
    (Int32(SLIRP_POLL_PRI), POLLPRI), (Int32(SLIRP_POLL_ERR), POLLERR),
    (Int32(SLIRP_POLL_HUP), POLLHUP),
  ]

  /// Notes a descriptor to wait for; returns its number for ``readiness(of:)``.
  func addPoll(_ descriptor: Int32, _ events: Int32) -> Int32 {
    var wanted: Int32 = 0
    for bits in Self.readinessBits where events & bits.slirp != 0 { wanted |= bits.poll }
    polls.append(Poll(descriptor: descriptor, events: Int16(wanted)))
    return Int32(polls.count - 1)
  }

  func readiness(of index: Int32) -> Int32 {
    guard polls.indices.contains(Int(index)) else { return 0 }
    let revents = Int32(polls[Int(index)].revents)
    return Self.readinessBits.reduce(0) { revents & $1.poll != 0 ? $0 | $1.slirp : $0 }
  }
}
