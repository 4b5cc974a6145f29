import Devices
import Glibc
import GuestMemory
import HostSystem
import Testing

/// The guest's side of a socket device, written from virtio 1.3 §5.10 alone, and the host's around it.
final class SocketGuest {
  enum Operation {
    static let request: UInt16 = 1
    static let response: UInt16 = 2
    static let reset: UInt16 = 3
    static let shutdown: UInt16 = 4
    static let readWrite: UInt16 = 5
    static let creditUpdate: UInt16 = 6
    static let creditRequest: UInt16 = 7
  }

  /// `virtio_vsock_hdr`, and the data behind it.
  struct Packet: Equatable {
    var sourceCID: UInt64 = 3
    var destinationCID: UInt64 = 2
    var sourcePort: UInt32 = 0
    var destinationPort: UInt32 = 0
    var length: UInt32 = 0
    var type: UInt16 = 1
    var operation: UInt16 = 0
    var flags: UInt32 = 0
    var bufferSize: UInt32 = 1 << 20
    var forwarded: UInt32 = 0
    var data: [UInt8] = []

    static let headerSize = 44

    var bytes: [UInt8] {
      func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
      }
      return little(sourceCID) + little(destinationCID) + little(sourcePort) + little(destinationPort)
        + little(length) + little(type) + little(operation) + little(flags) + little(bufferSize)
        + little(forwarded) + data
    }

    init() {}

    init(_ bytes: [UInt8]) {
      func number(_ start: Int, _ count: Int) -> UInt64 {
        bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
      sourceCID = number(0, 8)
      destinationCID = number(8, 8)
      sourcePort = UInt32(number(16, 4))
      destinationPort = UInt32(number(20, 4))
      length = UInt32(number(24, 4))
      type = UInt16(number(28, 2))
      operation = UInt16(number(30, 2))
      flags = UInt32(number(32, 4))
      bufferSize = UInt32(number(36, 4))
      forwarded = UInt32(number(40, 4))
      data = Array(bytes[Self.headerSize...])
    }
  }

  static let bufferSize = 4096

  let device: VirtioSocket
  let guest: VirtioGuest
  /// The broker's end.
  let broker: UnixSocket
  private var rooms: [UInt16: UInt64] = [:]

  init(rooms: Int = 16) throws {
    let (ours, machine) = try UnixSocket.pair(.sequencedPacket)
    broker = ours
    try ours.descriptor.setNonblocking(true)
    device = try VirtioSocket(name: uniqueThreadName(), broker: machine)
    guest = try VirtioGuest(device)
    start(rooms: rooms)
  }

  func start(rooms count: Int) {
    guest.start()
    rooms = [:]
    addRooms(count)
  }

  func addRooms(_ count: Int) {
    for _ in 0..<count {
      addRoom(at: guest.allocate(Packet.headerSize + Self.bufferSize))
    }
    guest.queues[0].kick()
  }

  private func addRoom(at address: UInt64) {
    let head = guest.queues[0].add([.writable(address, Packet.headerSize + Self.bufferSize)])
    rooms[head] = address
  }

  private var outgoing: UInt64?

  /// Sends a packet, whose length is its data's unless it says another.
  func send(_ packet: Packet) throws {
    var packet = packet
    if packet.length == 0 { packet.length = UInt32(packet.data.count) }
    // One place serves all: a packet is done before the next one is made.
    let place = outgoing ?? guest.allocate(Packet.headerSize + (64 << 10))
    outgoing = place
    let bytes = packet.bytes
    guest.store(bytes, at: place)
    try guest.queues[1].call([.readable(place, bytes.count)])
  }

  func send(
    _ operation: UInt16, _ guestPort: UInt32, _ hostPort: UInt32, data: [UInt8] = [], flags: UInt32 = 0,
    forwarded: UInt32 = 0, bufferSize: UInt32 = 1 << 20
  ) throws {
    var packet = Packet()
    packet.operation = operation
    packet.sourcePort = guestPort
    packet.destinationPort = hostPort
    packet.data = data
    packet.flags = flags
    packet.forwarded = forwarded
    packet.bufferSize = bufferSize
    try send(packet)
  }

  /// The next packet, whose buffer is given back at once unless it is to be kept.
  func receive(givingBack: Bool = true) throws -> Packet {
    let used = try guest.queues[0].wait()
    return try packet(used, givingBack: givingBack)
  }

  /// The next packet if there is one within a moment.
  func receiveSoon() throws -> Packet? {
    usleep(20_000)
    return try guest.queues[0].take().map { try packet($0, givingBack: true) }
  }

  /// The packet in a used buffer, which is given back.
  func taken(_ used: GuestQueue.Used) throws -> Packet { try packet(used, givingBack: true) }

  private func packet(_ used: GuestQueue.Used, givingBack: Bool) throws -> Packet {
    let address = try #require(rooms[used.head])
    let packet = Packet(guest.bytes(at: address, used.written))
    #expect(packet.sourceCID == 2 && packet.destinationCID == 3)
    #expect(packet.data.count == Int(packet.length))
    if givingBack {
      addRoom(at: address)
      guest.queues[0].kick()
    }
    return packet
  }

  /// The next packet, which has to be of this kind.
  func expect(_ operation: UInt16, _ guestPort: UInt32? = nil, _ hostPort: UInt32? = nil) throws -> Packet {
    let packet = try receive()
    try #require(packet.operation == operation, "\(packet)")
    if let guestPort { #expect(packet.destinationPort == guestPort) }
    if let hostPort { #expect(packet.sourcePort == hostPort) }
    return packet
  }

  // MARK: - The host

  /// A program of the host that connected to the device's path, as the broker hands it over.
  func handOver() throws -> HostSocket {
    let socket = HostSocket(SOCK_STREAM)
    try broker.send(GuestPortMessage(request: 0).encoded, descriptors: [socket.device])
    return HostSocket(keepingTestEndOf: socket)
  }

  /// What the device asks of the broker.
  func brokerMessage() throws -> GuestPortMessage {
    #expect(try broker.waitUntilReadable(milliseconds: 10_000))
    return try #require(GuestPortMessage(decoding: try broker.receive(capacity: 64).bytes))
  }

  /// A connection that a program of the host makes to a guest's port; returns the host's own port too.
  func connectFromHost(to port: UInt32) throws -> (HostSocket, UInt32) {
    let socket = try handOver()
    socket.send(Array("CONNECT \(port)\n".utf8))
    let request = try expect(Operation.request, port)
    try send(Operation.response, port, request.sourcePort)
    #expect(String(decoding: socket.wait(), as: UTF8.self) == "OK \(request.sourcePort)\n")
    return (socket, request.sourcePort)
  }

  /// A connection that the guest makes to a port where a program of the host listens.
  func connectFromGuest(_ guestPort: UInt32, _ hostPort: UInt32, bufferSize: UInt32 = 1 << 20) throws
    -> HostSocket
  {
    try send(Operation.request, guestPort, hostPort, bufferSize: bufferSize)
    let message = try brokerMessage()
    #expect(message.port == hostPort && message.request != 0)
    let socket = HostSocket(SOCK_STREAM)
    try broker.send(GuestPortMessage(request: message.request).encoded, descriptors: [socket.device])
    _ = try expect(Operation.response, guestPort, hostPort)
    return HostSocket(keepingTestEndOf: socket)
  }
}
