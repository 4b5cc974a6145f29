internal import CSlirp
internal import Glibc
internal import HostSystem
internal import MachineControl

/// libslirp: a TCP/IP stack in user space that turns a guest's frames into the host's sockets.
///
/// Everything happens on the thread that made the stack: frames of the guest go in by
/// ``receive(_:)``, and around each poll(2) of the caller's loop come ``prepare()`` and
/// ``handle(_:)``. Frames for the guest come out by the `send` closure, from within those.
package final class SlirpStack {
  /// A descriptor that the loop must wait for: `events` are POLL* bits, and so are `revents`, which the
  /// loop fills in.
  package struct Poll {
    package var descriptor: Int32
    package var events: Int16
    package var revents: Int16 = 0
  }

  private var slirp: OpaquePointer?
  /// libslirp keeps the pointer, so the table needs a place of its own.
  private let callbacks: UnsafeMutablePointer<SlirpCb>
  let send: (UnsafeRawBufferPointer) -> Void
  let report: (String) -> Void
  var polls: [Poll] = []
  var timers: [SlirpTimer] = []

  /// Starts the stack and binds the published ports. `send` takes a frame for the guest and must not
  /// block; `report` takes what libslirp says about a guest's mistakes.
  package init(
    _ configuration: NATConfiguration, send: @escaping (UnsafeRawBufferPointer) -> Void,
    report: @escaping (String) -> Void = { _ in }
  ) throws(NATError) {
    try configuration.validate()
    self.send = send
    self.report = report
    callbacks = .allocate(capacity: 1)
    callbacks.initialize(to: Self.callbackTable())
    // libslirp writes to sockets without MSG_NOSIGNAL.
    signal(SIGPIPE, SIG_IGN)
    slirp = start(configuration)
    guard slirp != nil else { throw .badConfiguration("libslirp refuses the network's configuration") }
    for port in configuration.publishedPorts { try publish(port, guest: configuration) }
  }

  deinit {
    if let slirp { slirp_cleanup(slirp) }
    callbacks.deinitialize(count: 1)
    callbacks.deallocate()
  }

  private func start(_ configuration: NATConfiguration) -> OpaquePointer? {
    var config = SlirpConfig()
    config.version = 4
    config.restricted = configuration.isRestricted ? 1 : 0
    config.in_enabled = true
    config.vnetwork = in_addr(configuration.network)
    config.vnetmask = in_addr(configuration.netmask)
    config.vhost = in_addr(configuration.host)
    config.vdhcp_start = in_addr(configuration.guest)
    config.vnameserver = in_addr(configuration.nameServer)
    config.in6_enabled = configuration.hasIPv6
    config.vprefix_addr6 = Self.siteAddress(0)
    config.vprefix_len = 64
    config.vhost6 = Self.siteAddress(2)
    config.vnameserver6 = Self.siteAddress(3)
    config.if_mtu = configuration.mtu
    config.if_mru = configuration.mtu
    config.disable_host_loopback = !configuration.reachesHostLoopback
    let opaque = Unmanaged.passUnretained(self).toOpaque()
    guard let hostname = configuration.hostname else { return slirp_new(&config, callbacks, opaque) }
    return hostname.withCString { name in
      config.vhostname = name  // libslirp copies it
      return slirp_new(&config, callbacks, opaque)
    }
  }

  /// fec0::`last`
  private static func siteAddress(_ last: UInt8) -> in6_addr {
    var address = in6_addr()
    withUnsafeMutableBytes(of: &address) { bytes in
      bytes[0] = 0xFE
      bytes[1] = 0xC0
      bytes[15] = last
    }
    return address
  }

  private func publish(_ port: PublishedPort, guest: NATConfiguration) throws(NATError) {
    errno = 0
    let status = slirp_add_hostfwd(
      slirp, port.transport == .udp ? 1 : 0, in_addr(port.hostAddress), Int32(port.hostPort),
      in_addr(guest.guest), Int32(port.guestPort))
    guard status != 0 else { return }
    let failure = Errno(errno)
    if failure == .addressInUse { throw .portInUse(port) }
    throw .cannotPublish(port, failure)
  }

  // MARK: - The loop's side

  /// Takes a frame that the guest sent, without a frame check sequence.
  package func receive(_ frame: UnsafeRawBufferPointer) {
    guard let bytes = frame.baseAddress, let count = Int32(exactly: frame.count) else { return }
    slirp_input(slirp, bytes.assumingMemoryBound(to: UInt8.self), count)
  }

  /// The descriptors to wait for, and how many milliseconds at most (-1: for ever).
  package func prepare() -> (polls: [Poll], timeout: Int32) {
    polls.removeAll(keepingCapacity: true)
    var timeout = UInt32.max
    slirp_pollfds_fill(
      slirp, &timeout, { SlirpStack.from($2).addPoll($0, $1) }, Unmanaged.passUnretained(self).toOpaque())
    let now = Self.milliseconds()
    for timer in timers {
      guard let deadline = timer.deadline else { continue }
      timeout = min(timeout, UInt32(clamping: max(0, deadline - now)))
    }
    return (polls, timeout == .max ? -1 : Int32(clamping: timeout))
  }

  /// Handles what became ready, with the `revents` filled in, in the order of ``prepare()``.
  package func handle(_ ready: [Poll]) {
    polls = ready
    slirp_pollfds_poll(
      slirp, 0, { SlirpStack.from($1).readiness(of: $0) }, Unmanaged.passUnretained(self).toOpaque())
    let now = Self.milliseconds()
    for timer in timers {
      guard let deadline = timer.deadline, deadline <= now else { continue }
      timer.deadline = nil
      slirp_handle_timer(slirp, timer.identity, timer.opaque)
    }
  }

  static func milliseconds() -> Int64 { Int64(monotonicNanoseconds() / 1_000_000) }
}

extension in_addr {
  init(_ address: IPv4Address) { self.init(s_addr: address.value.bigEndian) }
}
