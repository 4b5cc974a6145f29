import CHost
import Glibc
import HostSystem
import MachineControl
import Networking
import Synchronization
import Testing

/// The NAT with a real guest: the kernel's own network stack, behind a TAP device in a network
/// namespace that belongs to one thread. Needs root.
@Suite(.serialized) struct KernelGuestTests {
  /// A namespace with `tap0`, whose frames go to a NAT.
  final class Namespace: Sendable {
    let tap: Descriptor
    let frames: Descriptor

    /// Makes the namespace of the calling thread; nil where that is not allowed.
    init?(frames: Descriptor) {
      guard geteuid() == 0, let symbol = dlsym(nil, "unshare") else { return nil }
      let unshare = unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)
      guard unshare(0x4000_0000 /* CLONE_NEWNET */) == 0,
        let tap = try? Descriptor.open("/dev/net/tun", O_RDWR)
      else { return nil }
      var request = Array("tap0".utf8) + [UInt8](repeating: 0, count: 36)
      request.replaceSubrange(16..<18, with: [0x02, 0x10])  // IFF_TAP | IFF_NO_PI
      guard volary_ioctl(tap.raw, 0x4004_54CA /* TUNSETIFF */, &request) == 0 else { return nil }
      self.tap = tap
      self.frames = frames
      let commands = [
        "link set lo up", "addr add 10.0.2.15/24 dev tap0", "link set tap0 address 52:54:00:12:34:56",
        "link set tap0 up", "route add default via 10.0.2.2",
      ]
      for command in commands where system("ip \(command)") != 0 { return nil }
    }

    /// Moves frames until the NAT is gone.
    func pump() throws -> HostSystem.Thread {
      try HostSystem.Thread.start(name: "pump") { [tap, frames] in
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 70_000, alignment: 16)
        defer { buffer.deallocate() }
        var waits = [tap, frames].map { pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0) }
        while poll(&waits, 2, -1) >= 0 {
          for (wait, (from, to)) in zip(waits, [(tap, frames), (frames, tap)]) where wait.revents != 0 {
            guard let count = try? from.read(into: buffer), count > 0 else { return }
            _ = try? to.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
          }
        }
      }
    }
  }

  /// What a command prints, run in the calling thread's namespace.
  static func output(_ command: String) -> String {
    guard let pipe = popen(command, "r") else { return "" }
    defer { pclose(pipe) }
    var text: [UInt8] = []
    while case let byte = fgetc(pipe), byte >= 0 { text.append(UInt8(byte)) }
    return String(decoding: text, as: UTF8.self)
  }

  /// Runs `body` on a thread in a namespace behind a NAT; false when there can be none.
  static func withNamespace(
    _ configuration: NATConfiguration, _ body: @escaping @Sendable () throws -> Void
  ) throws -> Bool {
    let guest = try Guest(configuration)
    let frames = guest.socket
    let outcome = Outcome()
    try HostSystem.Thread.start(name: "namespace", stackSize: 4 << 20) {
      guard let namespace = Namespace(frames: frames), let pump = try? namespace.pump() else { return }
      do {
        try body()
      } catch {
        Issue.record(error)
      }
      outcome.hasRun.store(true, ordering: .releasing)
      shutdown(frames.raw, Int32(SHUT_RDWR))
      pump.join()
    }.join()
    if !outcome.hasRun.load(ordering: .acquiring) { print("skipped: no network namespace can be made here") }
    return outcome.hasRun.load(ordering: .acquiring)
  }

  private final class Outcome: Sendable { let hasRun = Atomic(false) }

  static func randomBytes(_ count: Int) -> [UInt8] {
    var generator = FuzzTests.Generator(state: monotonicNanoseconds() | 1)
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }

  @Test(arguments: [1500, 65520])
  func `curl to the host's loopback`(mtu: Int) throws {
    let body = Self.randomBytes(8_000_000)
    let (listener, port) = try HostSockets.bound(SOCK_STREAM)
    let server = try HostSockets.serveOnce(body, on: listener)
    var configuration = NATConfiguration()
    configuration.mtu = mtu
    let file = "/tmp/volary-nat-\(getpid())-\(mtu)"
    defer { unlink(file) }
    let hasRun = try Self.withNamespace(configuration) {
      _ = system("ip link set tap0 mtu \(mtu)")
      let status = Self.output(
        "curl -s -m 120 -o \(file) -w '%{http_code} %{size_download} %{speed_download}' http://10.0.2.2:\(port)/"
      )
      #expect(status.hasPrefix("200 \(body.count) "))
      print("download through the NAT, MTU \(mtu): \(status)")
      let received = try HostSockets.readAll(.open(file, O_RDONLY))
      #expect(received == body)
    }
    if !hasRun { _ = try? HostSockets.connected(SOCK_STREAM, to: port) }
    server.join()
  }

  @Test func `a published port of a real server`() throws {
    let body = Self.randomBytes(4_000_000)
    var configuration = NATConfiguration()
    let port = try HostSockets.freePort()
    configuration.publishedPorts = [PublishedPort(hostPort: port, guestPort: 80)]
    let ready = try EventCounter()
    let done = try EventCounter()
    let client = try HostSystem.Thread.start(name: "client") {
      var wait = pollfd(fd: ready.descriptor.raw, events: Int16(POLLIN), revents: 0)
      guard poll(&wait, 1, 10_000) == 1 else { return }
      defer { done.signal() }
      guard let socket = try? HostSockets.connected(SOCK_STREAM, to: port) else { return }
      try? HostSockets.write(Array("GET / HTTP/1.0\r\n\r\n".utf8), to: socket)
      let answer = (try? HostSockets.readAll(socket)) ?? []
      #expect(answer.count > body.count && answer.suffix(body.count).elementsEqual(body))
    }
    let hasRun = try Self.withNamespace(configuration) {
      let (listener, _) = try HostSockets.bound(SOCK_STREAM, port: 80, host: .any)
      let server = try HostSockets.serveOnce(body, on: listener)
      ready.signal()
      var wait = pollfd(fd: done.descriptor.raw, events: Int16(POLLIN), revents: 0)
      #expect(poll(&wait, 1, 20_000) == 1)
      server.join()
    }
    if !hasRun { ready.signal() }
    client.join()
  }

  @Test func `IPv6 to the host's loopback`() throws {
    let listener = Descriptor(
      owning: socket(AF_INET6, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    withUnsafeMutableBytes(of: &address.sin6_addr) { $0[15] = 1 }
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener.raw, address, size) == 0 && listen(listener.raw, 4) == 0
          && getsockname(listener.raw, address, &size) == 0
      }
    }
    guard isBound else {
      print("skipped: this host has no IPv6")
      return
    }
    let port = UInt16(bigEndian: address.sin6_port)
    let body = Self.randomBytes(100_000)
    let server = try HostSockets.serveOnce(body, on: listener)
    let file = "/tmp/volary-nat-\(getpid())-v6"
    defer { unlink(file) }
    let hasRun = try Self.withNamespace(NATConfiguration()) {
      for _ in 0..<1000
      where !Self.output("ip -6 addr show dev tap0 -tentative").contains("fec0::") { usleep(100_000) }
      let command = "curl -g -s -m 120 -o \(file) -w '%{http_code}' 'http://[fec0::2]:\(port)/'"
      #expect(Self.output(command) == "200")
      let received = try HostSockets.readAll(.open(file, O_RDONLY))
      #expect(received == body)
    }
    if !hasRun { shutdown(listener.raw, Int32(SHUT_RDWR)) }
    server.join()
  }
}
