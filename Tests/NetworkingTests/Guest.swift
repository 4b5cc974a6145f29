import Glibc
import HostSystem
import Networking
import Synchronization
import Testing

/// A guest made by hand at the other end of the frames' socket. It answers ARP, speaks enough of UDP
/// and TCP for one connection at a time, and waits at most a few seconds for anything.
final class Guest {
  struct Timeout: Error {}

  let socket: Descriptor
  let configuration: NATConfiguration
  private let service: HostSystem.Thread?
  /// Signalled when the service's thread is done.
  private let ended: EventCounter?
  private(set) var hostMAC = Frames.broadcast

  /// Runs a ``NATService`` in a thread.
  init(_ configuration: NATConfiguration) throws {
    let (guest, host) = try Self.socketPair()
    socket = guest
    self.configuration = configuration
    // The thread makes the service, for the stack belongs to the thread that made it.
    let outcome = Mutex<Result<Void, NATError>?>(nil)
    let started = try EventCounter()
    let ended = try EventCounter()
    self.ended = ended
    let raw = fcntl(host.raw, F_DUPFD_CLOEXEC, 0)
    let box = Box(outcome)
    service = try HostSystem.Thread.start(name: "nat") {
      defer { ended.signal() }
      do throws(NATError) {
        let service = try NATService(configuration, frames: Descriptor(owning: raw))
        box.value.withLock { $0 = .success(()) }
        started.signal()
        try? service.run()
      } catch {
        box.value.withLock { $0 = .failure(error) }
        started.signal()
      }
    }
    _ = Self.waits(for: started)
    try box.value.withLock { $0 }?.get()
  }

  /// Speaks to a service that runs elsewhere.
  init(socket: Descriptor) {
    self.socket = socket
    configuration = NATConfiguration()
    service = nil
    ended = nil
  }

  deinit {
    shutdown(socket.raw, Int32(SHUT_RDWR))
    guard let service, let ended else { return }
    if Self.waits(for: ended) {
      service.join()
    } else {
      Issue.record("the service goes on without its guest")
    }
  }

  /// Whether a counter is signalled within some seconds.
  private static func waits(for counter: EventCounter) -> Bool {
    var wait = pollfd(fd: counter.descriptor.raw, events: Int16(POLLIN), revents: 0)
    return poll(&wait, 1, 20_000) == 1
  }

  private final class Box: Sendable {
    let value: Mutex<Result<Void, NATError>?>
    init(_ value: consuming Mutex<Result<Void, NATError>?>) { self.value = value }
  }

  static func socketPair(_ kind: __socket_type = SOCK_SEQPACKET) throws -> (Descriptor, Descriptor) {
    var ends: [Int32] = [0, 0]
    let kind = Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    try retrying { Int(socketpair(AF_UNIX, kind, 0, &ends)) }
    return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
  }

  // MARK: - Frames

  func send(_ frame: [UInt8]) throws { try frame.withUnsafeBytes { _ = try socket.write($0) } }

  /// The next frame within a time.
  func receive(milliseconds: Int32 = 20_000) throws -> [UInt8] {
    var wait = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
    guard poll(&wait, 1, milliseconds) == 1 else { throw Timeout() }
    var buffer = [UInt8](repeating: 0, count: 70_000)
    let count = try buffer.withUnsafeMutableBytes { try socket.read(into: $0) }
    guard count > 0 else { throw Errno.brokenPipe }
    let frame = Array(buffer[..<count])
    // Who has the guest's address? The guest.
    if frame.count >= 42, frame[12...13] == [8, 6], frame[20...21] == [0, 1],
      Array(frame[38..<42]) == Frames.bytes(configuration.guest)
    {
      let sender = IPv4Address(frame[28], frame[29], frame[30], frame[31])
      try send(
        Frames.arp(operation: 2, from: configuration.guest, to: sender, mac: Array(frame[22..<28])))
    }
    return frame
  }

  /// The next frame of which `match` makes something.
  func expect<Found>(milliseconds: Int32 = 20_000, _ match: ([UInt8]) throws -> Found?) throws -> Found {
    let deadline = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
    while true {
      let now = monotonicNanoseconds()
      guard now < deadline else { throw Timeout() }
      if let found = try match(receive(milliseconds: Int32((deadline - now) / 1_000_000) + 1)) {
        return found
      }
    }
  }

  /// The hardware address of an address on the network, by ARP.
  @discardableResult
  func resolve(_ address: IPv4Address) throws -> [UInt8] {
    try send(
      Frames.arp(
        operation: 1, from: configuration.guest, to: address, mac: [UInt8](repeating: 0, count: 6)))
    let mac: [UInt8] = try expect { frame in
      guard frame.count >= 42, frame[12...13] == [8, 6], frame[20...21] == [0, 2],
        Array(frame[28..<32]) == Frames.bytes(address)
      else { return nil }
      return Array(frame[22..<28])
    }
    hostMAC = mac
    return mac
  }

  func send(protocol number: UInt8, to address: IPv4Address, _ payload: [UInt8]) throws {
    try send(
      Frames.ipv4(protocol: number, from: configuration.guest, to: address, mac: hostMAC, payload))
  }

  func sendUDP(to address: IPv4Address, port: UInt16, from source: UInt16, _ payload: [UInt8]) throws {
    let datagram = Frames.sealed(
      Frames.udp(from: source, to: port, payload), protocol: 17, at: 6, from: configuration.guest,
      to: address)
    try send(protocol: 17, to: address, datagram)
  }
}

/// One TCP connection of a ``Guest``.
struct Connection {
  let guest: Guest
  let address: IPv4Address
  let port: UInt16
  let localPort: UInt16
  var next: UInt32 = 1000
  var expected: UInt32 = 0
  var received: [UInt8] = []
  var isOver = false
  var wasReset = false

  /// Opens a connection to the host's side. Throws ``Guest/Timeout`` when nobody answers.
  init(
    _ guest: Guest, to address: IPv4Address, port: UInt16, from localPort: UInt16,
    milliseconds: Int32 = 20_000
  ) throws {
    self.guest = guest
    self.address = address
    self.port = port
    self.localPort = localPort
    try send(.syn)
    next += 1
    let answer = try segment(milliseconds: milliseconds)
    wasReset = Frames.Flags(rawValue: answer.payload[13]).contains(.rst)
    expected = answer.long(4) + 1
    if !wasReset { try send(.ack) }
  }

  /// Waits for a connection to one of the guest's ports.
  init(_ guest: Guest, listeningOn localPort: UInt16) throws {
    self.guest = guest
    self.localPort = localPort
    let packet: Frames.IPv4Packet = try guest.expect { frame in
      guard let packet = Frames.IPv4Packet(frame), packet.number == 6, packet.word(2) == localPort,
        packet.payload[13] == Frames.Flags.syn.rawValue
      else { return nil }
      return packet
    }
    address = packet.source
    port = packet.word(0)
    expected = packet.long(4) + 1
    try guest.resolve(address)
    try send([.syn, .ack])
    next += 1
  }

  func send(_ flags: Frames.Flags, _ data: [UInt8] = []) throws {
    let header =
      Frames.bytes(localPort) + Frames.bytes(port) + Frames.bytes(next)
      + Frames.bytes(flags == .syn ? 0 : expected)
    let segment = header + [0x50, flags.rawValue, 0xFF, 0xFF, 0, 0, 0, 0] + data
    try guest.send(
      protocol: 6, to: address,
      Frames.sealed(segment, protocol: 6, at: 16, from: guest.configuration.guest, to: address))
  }

  mutating func write(_ data: [UInt8]) throws {
    try send([.ack, .psh], data)
    next += UInt32(data.count)
  }

  mutating func close() throws {
    try send([.ack, .fin])
    next += 1
  }

  private func segment(milliseconds: Int32 = 20_000) throws -> Frames.IPv4Packet {
    try guest.expect(milliseconds: milliseconds) { frame in
      guard let packet = Frames.IPv4Packet(frame), packet.number == 6, packet.source == address,
        packet.word(0) == port, packet.word(2) == localPort
      else { return nil }
      return packet
    }
  }

  /// Takes segments until `isEnough`, or the other side closed.
  mutating func read(until isEnough: ([UInt8]) -> Bool = { _ in false }) throws {
    while !isOver && !isEnough(received) {
      let packet = try segment()
      let flags = Frames.Flags(rawValue: packet.payload[13])
      if flags.contains(.rst) { throw Errno(ECONNRESET) }
      let data = packet.payload.dropFirst(Int(packet.payload[12] >> 4) * 4)
      guard !data.isEmpty || flags.contains(.fin) else { continue }
      // What is out of order comes again.
      if packet.long(4) == expected {
        received += data
        expected += UInt32(data.count)
        if flags.contains(.fin) {
          expected += 1
          isOver = true
        }
      }
      try send(.ack)
    }
  }
}
