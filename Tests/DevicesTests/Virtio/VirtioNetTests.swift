import Devices
import Glibc
import GuestMemory
import HostSystem
import Testing

@Suite struct VirtioNetTests {
  static let mac: [UInt8] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]

  enum Feature {
    static let checksum: UInt64 = 1 << 0
    static let guestChecksum: UInt64 = 1 << 1
    static let mtu: UInt64 = 1 << 3
    static let merged: UInt64 = 1 << 15
  }

  /// A guest with a network card on a socket.
  final class Card {
    let socket: HostSocket
    let net: VirtioNet
    let guest: VirtioGuest

    init(_ type: __socket_type = SOCK_SEQPACKET, features: UInt64? = nil, mtu: UInt16? = nil) throws {
      socket = HostSocket(type)
      net = try VirtioNet(name: uniqueThreadName(), port: socket.device, mac: VirtioNetTests.mac, mtu: mtu)
      guest = try VirtioGuest(net)
      guest.start(features: features)
    }

    var receive: GuestQueue { guest.queues[0] }
    var transmit: GuestQueue { guest.queues[1] }
    var control: GuestQueue { guest.queues[2] }

    /// Sends a frame behind a header.
    func send(_ frame: [UInt8], header: [UInt8] = [UInt8](repeating: 0, count: 12)) throws {
      let address = guest.allocate(bytes: header + frame)
      try transmit.call([.readable(address, 12), .readable(address + 12, frame.count)])
    }

    /// Adds a buffer for a frame to come, and returns where it is.
    func addRoom(_ count: Int) -> UInt64 {
      let address = guest.allocate(count)
      receive.add([.writable(address, count)])
      return address
    }
  }

  static func frame(_ count: Int, seed: UInt8 = 1) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 3) &+ seed }
  }

  @Test func configuration() throws {
    let card = try Card(mtu: 9000)
    #expect((0..<6).map { UInt8(card.guest.configuration($0, width: 1)) } == Self.mac)
    #expect(card.guest.configuration(6, width: 2) == 1)
    #expect(card.guest.configuration(10, width: 2) == 9000)
    #expect(card.guest.offered & Feature.mtu != 0)
  }

  @Test(arguments: [SOCK_SEQPACKET, SOCK_DGRAM])
  func framesGoOut(type: __socket_type) throws {
    let card = try Card(type)
    for size in [14, 60, 1514, 9018, 65_550] {
      let frame = Self.frame(size)
      try card.send(frame)
      try #require(same(card.socket.wait(), frame))
    }
  }

  @Test func whatIsNoFrameIsDropped() throws {
    let card = try Card()
    let address = card.guest.allocate(1 << 17)
    try card.transmit.call([.readable(address, 5)])
    try card.transmit.call([.readable(address, 12 + 13)])
    try card.transmit.call([.readable(address, 12 + 65_555)])
    try card.transmit.call([.writable(address, 100)])
    try card.send(Self.frame(60), header: [0, 1] + [UInt8](repeating: 0, count: 10))  // segmentation
    try card.send(Self.frame(60), header: [1, 0, 0, 0, 0, 0, 50, 0, 9, 0, 0, 0])  // checksum outside
    try card.send(Self.frame(60, seed: 9))
    #expect(card.socket.wait() == Self.frame(60, seed: 9))
    #expect(card.guest.reports.lines == [])
  }

  @Test(arguments: [0, Feature.merged])
  func framesComeIn(feature: UInt64) throws {
    let card = try Card(features: VirtioGuest.version1 | feature)
    let room = card.addRoom(2000)
    card.receive.kick()
    let frame = Self.frame(1514)
    card.socket.send(frame)
    #expect(try card.receive.wait().written == 12 + 1514)
    #expect(card.guest.bytes(at: room, 12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
    #expect(same(card.guest.bytes(at: room + 12, 1514), frame))
  }

  /// Frames without their headers, and only those that went somewhere.
  @Test func countsFrames() throws {
    let card = try Card()
    try card.send(Self.frame(60))
    try card.send(Self.frame(1514))
    try card.send(Self.frame(13))  // none
    try card.send(Self.frame(60), header: [0, 1] + [UInt8](repeating: 0, count: 10))  // segmentation
    for _ in 0..<2 { _ = card.socket.wait() }
    #expect(card.net.activity == NetworkActivity(framesSent: 2, bytesSent: 1574))
    let rooms = (0..<3).map { _ in card.addRoom(500) }
    card.receive.kick()
    card.socket.send(Self.frame(1200))
    for _ in rooms { _ = try card.receive.wait() }
    #expect(
      card.net.activity
        == NetworkActivity(framesReceived: 1, bytesReceived: 1200, framesSent: 2, bytesSent: 1574))
  }

  @Test func aFrameMaySpreadOverBuffers() throws {
    let card = try Card()
    let rooms = (0..<4).map { _ in card.addRoom(500) }
    card.receive.kick()
    let frame = Self.frame(1200)
    card.socket.send(frame)
    let used = try (0..<3).map { _ in try card.receive.wait().written }
    #expect(used == [500, 500, 212])
    #expect(card.guest.bytes(at: rooms[0] + 10, 2) == [3, 0])
    let bytes = zip(rooms, used).flatMap { card.guest.bytes(at: $0, $1) }
    #expect(same(Array(bytes[12...]), frame))
    #expect(card.receive.take() == nil)
  }

  @Test func aFrameWaitsForEnoughBuffers() throws {
    let card = try Card()
    _ = card.addRoom(500)
    card.receive.kick()
    card.socket.send(Self.frame(1200))
    card.socket.send(Self.frame(100, seed: 7))
    usleep(10_000)
    #expect(card.receive.take() == nil, "half a frame is none")
    try expectIdle(thread: card.net.name)
    _ = card.addRoom(500)
    card.receive.kick()
    usleep(1000)
    _ = card.addRoom(500)
    let last = card.addRoom(500)
    card.receive.kick()
    #expect(try (0..<4).map { _ in try card.receive.wait().written } == [500, 500, 212, 112])
    #expect(card.guest.bytes(at: last + 12, 100) == Self.frame(100, seed: 7))
  }

  @Test func framesThatNeverFitAreDropped() throws {
    let unmerged = try Card(features: VirtioGuest.version1)
    let room = unmerged.addRoom(100)
    unmerged.receive.kick()
    unmerged.socket.send(Self.frame(200))
    unmerged.socket.send(Self.frame(50))
    #expect(try unmerged.receive.wait().written == 62)
    #expect(unmerged.guest.bytes(at: room + 12, 50) == Self.frame(50))

    let tiny = try Card()
    tiny.guest.start(sizes: [2])
    for _ in 0..<2 { _ = tiny.addRoom(100) }
    tiny.receive.kick()
    tiny.socket.send(Self.frame(1000))
    tiny.socket.send(Self.frame(80))
    #expect(try tiny.receive.wait().written == 92)
  }

  @Test func nothingIsReadWithoutBuffers() throws {
    let card = try Card()
    // The socket holds what nobody takes, and then refuses more.
    var sent = 0
    while card.socket.send(Self.frame(1000, seed: UInt8(truncatingIfNeeded: sent))) > 0 { sent += 1 }
    #expect(sent < 10_000)
    for number in 0..<sent {
      let room = card.addRoom(1100)
      card.receive.kick()
      #expect(try card.receive.wait().written == 1012)
      #expect(
        card.guest.bytes(at: room + 12, 4) == Array(Self.frame(4, seed: UInt8(truncatingIfNeeded: number))))
    }
  }

  @Test(arguments: [SOCK_SEQPACKET, SOCK_DGRAM])
  func aFullPortMakesTheGuestWait(type: __socket_type) throws {
    let card = try Card(type)
    let count = card.transmit.size / 2
    var sent: [[UInt8]] = []
    // More than a socket's buffer holds.
    for number in 0..<count {
      let frame = Self.frame(9000, seed: UInt8(truncatingIfNeeded: number))
      let address = card.guest.allocate(bytes: [UInt8](repeating: 0, count: 12) + frame)
      card.transmit.add([.readable(address, 12), .readable(address + 12, 9000)])
      sent.append(frame)
    }
    card.transmit.kick()
    for frame in sent { try #require(same(card.socket.wait(), frame)) }
    for _ in 0..<count { _ = try card.transmit.wait() }
  }

  // MARK: - The peer

  @Test func aClosedPeerTakesTheLinkDown() throws {
    let card = try Card()
    _ = card.addRoom(2000)
    card.receive.kick()
    card.socket.close()
    #expect(eventually { card.guest.configuration(6, width: 2) == 0 })
    #expect(eventually { card.guest.read(0x60) & 2 != 0 })
    // Frames go nowhere, and are done with.
    try card.send(Self.frame(100))
    try expectIdle(thread: card.net.name)
    #expect(!card.net.isLinkUp)
  }

  @Test func aPeerThatClosesWhileTheGuestWaits() throws {
    let card = try Card()
    for _ in 0..<100 {
      let address = card.guest.allocate(9012)
      card.transmit.add([.readable(address, 9012)])
    }
    card.transmit.kick()
    #expect(eventually { card.transmit.take() != nil })
    card.socket.close()
    #expect(eventually { !card.net.isLinkUp })
    #expect(
      eventually {
        _ = card.transmit.take()
        return card.transmit.freeCount == card.transmit.size
      })
  }

  @Test func theHostMayPullTheCable() throws {
    let card = try Card()
    card.net.isLinkUp = false
    #expect(card.guest.configuration(6, width: 2) == 0)
    #expect(card.guest.read(0x60) == 2)
    card.net.isLinkUp = true
    #expect(card.guest.configuration(6, width: 2) == 1)
  }

  // MARK: - Checksums

  /// The example of RFC 1071 §3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
  @Test func sumOfTheSpecification() {
    let bytes: [UInt8] = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]
    #expect(bytes.withUnsafeBytes { InternetChecksum.sum($0) }.bigEndian == 0xDDF2)
  }

  /// An IPv4 header as printed in many a textbook, whose checksum is b861: with it the sum is all ones.
  @Test func sumOfAHeader() {
    let header: [UInt8] = [
      0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xB8, 0x61, 0xC0, 0xA8, 0x00, 0x01,
      0xC0, 0xA8, 0x00, 0xC7,
    ]
    #expect(header.withUnsafeBytes { InternetChecksum.sum($0) } == 0xFFFF)
  }

  /// The sum as the RFC defines it, a word at a time.
  static func plainSum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for start in stride(from: 0, to: bytes.count, by: 2) {
      sum += UInt32(bytes[start]) << 8 | (start + 1 < bytes.count ? UInt32(bytes[start + 1]) : 0)
      sum = (sum & 0xFFFF) + sum >> 16
    }
    return UInt16(sum)
  }

  @Test func sumsOfAnyLength() {
    for count in 0..<200 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) | (count % 3 == 0 ? 0xF0 : 0) }
      #expect(bytes.withUnsafeBytes { InternetChecksum.sum($0) }.bigEndian == Self.plainSum(bytes))
    }
  }

  /// A UDP datagram in an Ethernet frame; `complete` fills its checksum in, else it holds the
  /// pseudo-header's sum, as a driver leaves it.
  static func udp(payload: [UInt8], ipv6: Bool, complete: Bool) -> [UInt8] {
    let length = 8 + payload.count
    let addresses = (0..<(ipv6 ? 32 : 8)).map { UInt8(10 + $0) }
    let lengthBytes = [UInt8(length >> 8), UInt8(length & 255)]
    let pseudo = addresses + [0, 17] + lengthBytes
    var segment = [0x12, 0x34, 0x00, 0x35] + lengthBytes + [0, 0] + payload
    let pseudoSum = plainSum(pseudo)
    let field = complete ? ~plainSum([UInt8(pseudoSum >> 8), UInt8(pseudoSum & 255)] + segment) : pseudoSum
    segment[6] = UInt8(field >> 8)
    segment[7] = UInt8(field & 255)
    var packet: [UInt8] = []
    if ipv6 {
      packet = [0x60, 0, 0, 0] + lengthBytes + [17, 64] + addresses
    } else {
      let total = 20 + length
      packet = [0x45, 0, UInt8(total >> 8), UInt8(total & 255), 0, 0, 0x40, 0, 64, 17, 0, 0] + addresses
    }
    return [UInt8](repeating: 2, count: 12) + (ipv6 ? [0x86, 0xDD] : [0x08, 0x00]) + packet + segment
  }

  @Test(arguments: [false, true], [1, 8, 1001])
  func partialChecksumsAreCompleted(ipv6: Bool, payload: Int) throws {
    let card = try Card()
    #expect(card.guest.features & Feature.checksum != 0)
    let bytes = Self.frame(payload)
    let start: UInt8 = ipv6 ? 54 : 34
    try card.send(
      Self.udp(payload: bytes, ipv6: ipv6, complete: false),
      header: [1, 0, 0, 0, 0, 0, start, 0, 6, 0, 0, 0])
    #expect(same(card.socket.wait(), Self.udp(payload: bytes, ipv6: ipv6, complete: true)))
  }

  @Test(arguments: [false, true])
  func rightChecksumsAreVouchedFor(ipv6: Bool) throws {
    let card = try Card()
    var frame = Self.udp(payload: Self.frame(333), ipv6: ipv6, complete: true)
    func flags() throws -> UInt8 {
      let room = card.addRoom(2000)
      card.receive.kick()
      card.socket.send(frame)
      _ = try card.receive.wait()
      return card.guest.bytes(at: room, 1)[0]
    }
    #expect(try flags() == 2)
    frame += [0, 0, 0]  // Ethernet's padding is not summed.
    #expect(try flags() == 2)
    frame[60] ^= 1
    #expect(try flags() == 0)
    frame[60] ^= 1
    if !ipv6 {
      frame[20] = 0x20  // a fragment
      #expect(try flags() == 0)
    }
  }

  @Test func checksumsAreNotVouchedForUnasked() throws {
    let card = try Card(features: VirtioGuest.version1)
    let room = card.addRoom(2000)
    card.receive.kick()
    card.socket.send(Self.udp(payload: Self.frame(333), ipv6: false, complete: true))
    _ = try card.receive.wait()
    #expect(card.guest.bytes(at: room, 1) == [0])
  }

  // MARK: - Control

  @Test func receiveFiltersAreAccepted() throws {
    let card = try Card()
    let answer = card.guest.allocate(1)
    func command(_ bytes: [UInt8]) throws -> UInt8 {
      card.guest.store([0xEE], at: answer)
      try card.control.call([.readable(card.guest.allocate(bytes: bytes), bytes.count), .writable(answer, 1)])
      return card.guest.bytes(at: answer, 1)[0]
    }
    #expect(try command([0, 0, 1]) == 0)
    #expect(try command([0, 1, 0]) == 0)
    #expect(try command([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == 0)
    #expect(try command([1, 1] + Self.mac) == 1, "not offered")
    #expect(try command([2, 0, 1, 0]) == 1)
    #expect(try command([0]) == 1)
    #expect(try command([]) == 1)
  }

  /// Where frames have headers outside too, those are passed on as they are, but for the number of buffers. A socket
  /// does as a TAP device does, but that it leaves nothing undone.
  @Test func headersArePassedOn() throws {
    let socket = HostSocket(SOCK_SEQPACKET)
    let net = try VirtioNet(
      name: uniqueThreadName(), tap: TapDevice(socket.device), mac: VirtioNetTests.mac)
    let guest = try VirtioGuest(net)
    guest.start()
    #expect(guest.offered & 0x1C0_0000_0000_3B83 == 0, "checksums and segments")
    let header: [UInt8] = [1, 1, 54, 0, 0xB4, 5, 34, 0, 16, 0, 0, 0]
    let large = Self.frame(60_000)
    for frame in [Self.frame(60), large] {
      let address = guest.allocate(bytes: header + frame)
      try guest.queues[1].call([.readable(address, 12), .readable(address + 12, frame.count)])
      #expect(same(socket.wait(), header + frame))
    }
    let short = guest.allocate(bytes: header + Self.frame(13))
    try guest.queues[1].call([.readable(short, 25)])

    let rooms = (0..<40).map { _ in
      let address = guest.allocate(2000)
      guest.queues[0].add([.writable(address, 2000)])
      return address
    }
    guest.queues[0].kick()
    socket.send(header + Self.frame(13))
    socket.send(header + large)
    let used = try (0..<31).map { _ in try guest.queues[0].wait().written }
    let bytes = zip(rooms, used).flatMap { guest.bytes(at: $0, $1) }
    #expect(Array(bytes[..<10]) == Array(header[..<10]) && Array(bytes[10..<12]) == [31, 0])
    #expect(same(Array(bytes[12...]), large))
    #expect(guest.reports.lines == [])
  }
}
