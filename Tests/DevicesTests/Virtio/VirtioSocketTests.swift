import Devices
import Glibc
import GuestMemory
import HostSystem
import Testing

@Suite struct VirtioSocketTests {
  typealias Operation = SocketGuest.Operation

  static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func configuration() throws {
    let link = try SocketGuest()
    #expect(link.guest.configuration(0, width: 8) == 3)
    #expect(link.guest.offered & 7 == 1, "streams alone")
    #expect(link.guest.read(0x08) == 19)
  }

  // MARK: - Connecting

  @Test func aProgramOfTheHostReachesAGuestsPort() throws {
    let link = try SocketGuest()
    let socket = try link.handOver()
    // The line in pieces, and bytes behind it that are the guest's.
    for piece in ["CONN", "ECT 1234", "\nearly"] {
      usleep(2000)
      socket.send(Array(piece.utf8))
    }
    let request = try link.expect(Operation.request, 1234)
    #expect(request.sourcePort >= 1 << 30 && request.bufferSize == 128 << 10 && request.forwarded == 0)
    #expect(socket.receive() == nil, "nothing is said before the guest agrees")
    try link.send(Operation.response, 1234, request.sourcePort)
    #expect(Self.text(socket.wait()) == "OK \(request.sourcePort)\n")
    #expect(Self.text(try link.expect(Operation.readWrite, 1234, request.sourcePort).data) == "early")
    try link.send(Operation.readWrite, 1234, request.sourcePort, data: Array("answer".utf8))
    #expect(Self.text(socket.wait()) == "answer")
    socket.send(Array("more".utf8))
    #expect(Self.text(try link.expect(Operation.readWrite).data) == "more")
  }

  @Test func aGuestReachesAProgramOfTheHost() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(50_000, 80)
    try link.send(Operation.readWrite, 50_000, 80, data: Array("GET".utf8))
    #expect(Self.text(socket.wait()) == "GET")
    socket.send(Array("200".utf8))
    #expect(Self.text(try link.expect(Operation.readWrite, 50_000, 80).data) == "200")
  }

  @Test func whereNobodyListensAGuestIsRefused() throws {
    let link = try SocketGuest()
    try link.send(Operation.request, 50_000, 81)
    let message = try link.brokerMessage()
    try link.broker.send(GuestPortMessage(request: message.request).encoded)
    _ = try link.expect(Operation.reset, 50_000, 81)
    // The port is free again.
    _ = try link.connectFromGuest(50_000, 81)
  }

  @Test func whereNoGuestListensAProgramIsCutOff() throws {
    let link = try SocketGuest()
    let socket = try link.handOver()
    socket.send(Array("CONNECT 9\n".utf8))
    let request = try link.expect(Operation.request, 9)
    try link.send(Operation.reset, 9, request.sourcePort)
    #expect(socket.wait() == [])
  }

  @Test func aProgramThatGivesUpIsTakenBack() throws {
    let link = try SocketGuest()
    let socket = try link.handOver()
    socket.send(Array("CONNECT 9\n".utf8))
    let request = try link.expect(Operation.request, 9)
    socket.close()
    _ = try link.expect(Operation.reset, 9, request.sourcePort)
  }

  @Test(arguments: [
    "HELLO\n", "CONNECT\n", "CONNECT x\n", "CONNECT 1 2\n", "CONNECT 4294967296\n", "CONNECT -1\n", "\n",
    "CONNECT 00000000000000000000000000001", "\u{0}\u{1}\u{ff}\n",
  ])
  func whatIsNoGreetingIsCutOff(_ line: String) throws {
    let link = try SocketGuest()
    let socket = try link.handOver()
    socket.send(Array(line.utf8))
    #expect(socket.wait() == [] && socket.receive() == [])
    #expect(try link.receiveSoon() == nil)
  }

  @Test(arguments: ["connect 7\n", "CONNECT 7\r\n", "CONNECT  007\n"])
  func greetingsAreReadAsPeopleWriteThem(_ line: String) throws {
    let link = try SocketGuest()
    let socket = try link.handOver()
    socket.send(Array(line.utf8))
    _ = try link.expect(Operation.request, 7)
  }

  // MARK: - Credit

  @Test func theGuestGetsNoMoreThanItHasRoomFor() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80, bufferSize: 1000)
    let bytes = VirtioNetTests.frame(2500)
    socket.send(bytes)
    var data = try link.expect(Operation.readWrite).data
    while data.count < 1000 { data += try link.expect(Operation.readWrite).data }
    #expect(same(data, Array(bytes[..<1000])))
    _ = try link.expect(Operation.creditRequest, 5000, 80)
    #expect(try link.receiveSoon() == nil)
    try expectIdle(thread: link.device.name)
    try link.send(Operation.creditUpdate, 5000, 80, forwarded: 1000, bufferSize: 1400)
    while data.count < 2400 { data += try link.expect(Operation.readWrite).data }
    #expect(same(data, Array(bytes[..<2400])))
    _ = try link.expect(Operation.creditRequest, 5000, 80)
    // Nonsense is no credit.
    try link.send(Operation.creditUpdate, 5000, 80, forwarded: 5000, bufferSize: 1400)
    #expect(try link.receiveSoon()?.operation == Operation.creditRequest)
    try link.send(Operation.creditUpdate, 5000, 80, forwarded: 2400, bufferSize: 1400)
    data += try link.expect(Operation.readWrite).data
    #expect(same(data, bytes))
  }

  @Test func theGuestIsToldOfRoom() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    try link.send(Operation.creditRequest, 5000, 80)
    let first = try link.expect(Operation.creditUpdate, 5000, 80)
    #expect(first.bufferSize == 128 << 10 && first.forwarded == 0)
    // The host reads nothing: the guest may send what fits into the host's socket and the device's buffer, and
    // the credit it is told of leads it there exactly.
    var sent = 0
    var forwarded = 0
    let chunk = 16 << 10
    while sent - forwarded + chunk <= 128 << 10 {
      try link.send(
        Operation.readWrite, 5000, 80, data: [UInt8](repeating: UInt8(sent >> 14 & 0xFF), count: chunk))
      sent += chunk
      while let update = try sent - forwarded + chunk > 128 << 10 ? link.receiveSoon() : nil {
        #expect(update.operation == Operation.creditUpdate)
        forwarded = Int(update.forwarded)
      }
    }
    #expect(sent > 128 << 10)
    try expectIdle(thread: link.device.name)
    let bytes = socket.wait(exactly: sent)
    #expect(bytes.count == sent && bytes.enumerated().allSatisfy { $1 == UInt8($0 >> 14 & 0xFF) })
    #expect(Int(try link.expect(Operation.creditUpdate, 5000, 80).forwarded) > forwarded)
  }

  @Test func whoSendsMoreThanThereIsRoomForIsCutOff() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    var sent = 0
    // The host's socket and the device's buffer hold less than this.
    for _ in 0..<64 {
      try link.send(Operation.readWrite, 5000, 80, data: [UInt8](repeating: 1, count: 60_000))
      sent += 60_000
    }
    var packet = try link.receive()
    while packet.operation == Operation.creditUpdate { packet = try link.receive() }
    #expect(packet.operation == Operation.reset)
    var came = 0
    while case let bytes = socket.wait(), !bytes.isEmpty { came += bytes.count }
    #expect(came < sent)
  }

  // MARK: - Ending

  @Test func eachDirectionEndsByItself() throws {
    let link = try SocketGuest()
    let (socket, port) = try link.connectFromHost(to: 22)
    socket.send([1, 2, 3])
    socket.shutDownWriting()
    #expect(try link.expect(Operation.readWrite, 22, port).data == [1, 2, 3])
    #expect(try link.expect(Operation.shutdown, 22, port).flags == 2)
    try link.send(Operation.readWrite, 22, port, data: [4, 5])
    #expect(socket.wait() == [4, 5])
    try link.send(Operation.shutdown, 22, port, flags: 2)
    #expect(socket.wait() == [])
    // Both directions are over, and the guest says so.
    #expect(try link.expect(Operation.shutdown, 22, port).flags == 3)
    try link.send(Operation.shutdown, 22, port, flags: 3)
    _ = try link.expect(Operation.reset, 22, port)
  }

  @Test func theGuestMayEndItsDirectionFirst() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    try link.send(Operation.readWrite, 5000, 80, data: [9])
    try link.send(Operation.shutdown, 5000, 80, flags: 2)
    #expect(socket.wait() == [9])
    #expect(socket.wait() == [])
    socket.send([1, 2])
    #expect(try link.expect(Operation.readWrite).data == [1, 2])
    // More from the guest makes no sense now.
    try link.send(Operation.readWrite, 5000, 80, data: [9])
    _ = try link.expect(Operation.reset, 5000, 80)
    #expect(socket.wait() == [])
  }

  @Test func aGuestThatReadsNoMoreIsHeeded() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    try link.send(Operation.shutdown, 5000, 80, flags: 1)
    #expect(eventually { socket.send([1]) == 0 })
    try link.send(Operation.readWrite, 5000, 80, data: [7])
    #expect(socket.wait() == [7])
    socket.close()
    #expect(try link.expect(Operation.shutdown, 5000, 80).flags == 3)
  }

  @Test func whatAGuestSentBeforeItClosedArrives() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    // More than the host's socket takes.
    var sent: [UInt8] = []
    for round in 0..<20 {
      let data = VirtioNetTests.frame(20_000, seed: UInt8(round))
      try link.send(Operation.readWrite, 5000, 80, data: data)
      sent += data
      if sent.count > 300_000 { break }
    }
    try link.send(Operation.shutdown, 5000, 80, flags: 3)
    var packet = try link.receive()
    while packet.operation == Operation.creditUpdate { packet = try link.receive() }
    #expect(packet.operation == Operation.reset)
    // The port may serve again while the old bytes are on their way.
    let second = try link.connectFromGuest(5000, 80)
    try link.send(Operation.readWrite, 5000, 80, data: [42])
    #expect(second.wait() == [42])
    #expect(same(socket.wait(exactly: sent.count), sent))
    #expect(socket.wait() == [])
  }

  @Test func aHostThatIsGoneIsTold() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    socket.send([5])
    socket.close()
    #expect(try link.expect(Operation.readWrite).data == [5])
    let shutdown = try link.expect(Operation.shutdown, 5000, 80)
    if shutdown.flags != 3 { #expect(try link.expect(Operation.shutdown, 5000, 80).flags == 3) }
    // Data that crossed it goes nowhere, and does the guest no harm.
    try link.send(Operation.readWrite, 5000, 80, data: [UInt8](repeating: 0, count: 60_000))
    try link.send(Operation.readWrite, 5000, 80, data: [UInt8](repeating: 0, count: 60_000))
    #expect(try link.expect(Operation.creditUpdate, 5000, 80).forwarded >= 60_000)
    try expectIdle(thread: link.device.name)
    try link.send(Operation.reset, 5000, 80)
    #expect(try link.receiveSoon() == nil)
  }

  // MARK: - What makes no sense

  @Test func strangePacketsAreReset() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    var base = SocketGuest.Packet()
    base.sourcePort = 6000
    base.destinationPort = 81
    base.operation = Operation.readWrite
    let strange: [(inout SocketGuest.Packet) -> Void] = [
      { $0.data = [1] }, { $0.operation = Operation.response }, { $0.operation = Operation.shutdown },
      { $0.operation = Operation.creditUpdate }, { $0.operation = 0 }, { $0.operation = 99 },
      {
        $0.operation = Operation.request; $0.type = 2
      },
      {
        $0.operation = Operation.request; $0.type = 7
      },
    ]
    for change in strange {
      var packet = base
      change(&packet)
      try link.send(packet)
      let answer = try link.expect(Operation.reset, 6000, 81)
      #expect(answer.type == packet.type)
    }
    // A reset is never answered, and what is no packet neither.
    base.operation = Operation.reset
    try link.send(base)
    try link.guest.queues[1].call([.readable(link.guest.allocate(40), 40)])
    try link.guest.queues[1].call([.writable(link.guest.allocate(100), 100)])
    #expect(try link.receiveSoon() == nil)
    #expect(link.guest.reports.lines == [])
    // The connection between others is as it was.
    try link.send(Operation.readWrite, 5000, 80, data: [1])
    #expect(socket.wait() == [1])
  }

  // MARK: - Another broker

  /// Connections go on, what the former broker left is taken, and what only it could answer is refused.
  @Test func theBrokerMayChange() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    try link.send(Operation.request, 5001, 81)
    let unanswered = try link.brokerMessage()
    let program = try link.handOver()
    let (ours, machine) = try UnixSocket.pair(.sequencedPacket)
    try link.device.attach(broker: machine)
    _ = try link.expect(Operation.reset, 5001, 81)
    #expect(try link.broker.receive(capacity: 64).bytes.isEmpty, "the former one's socket is closed")

    try link.send(Operation.readWrite, 5000, 80, data: Array("GET".utf8))
    #expect(Self.text(socket.wait()) == "GET")
    socket.send(Array("200".utf8))
    #expect(Self.text(try link.expect(Operation.readWrite, 5000, 80).data) == "200")

    program.send(Array("CONNECT 1234\n".utf8))
    let request = try link.expect(Operation.request, 1234)
    try link.send(Operation.response, 1234, request.sourcePort)
    #expect(Self.text(program.wait()) == "OK \(request.sourcePort)\n")

    // The new one is asked, and a late answer of the former one's number is nobody's.
    try link.send(Operation.request, 5001, 81)
    #expect(try ours.waitUntilReadable(milliseconds: 10_000))
    let asked = try #require(GuestPortMessage(decoding: try ours.receive(capacity: 64).bytes))
    #expect(asked.port == 81 && asked.request != unanswered.request)
    try ours.send(GuestPortMessage(request: unanswered.request).encoded)
    let answer = HostSocket(SOCK_STREAM)
    try ours.send(GuestPortMessage(request: asked.request).encoded, descriptors: [answer.device])
    _ = try link.expect(Operation.response, 5001, 81)
  }

  /// The former broker may be gone for long, with its whole process.
  @Test func aLostBrokerIsReplaced() throws {
    let link = try SocketGuest()
    _ = shutdown(link.broker.descriptor.raw, Int32(SHUT_RDWR))
    try link.send(Operation.request, 5000, 80)
    _ = try link.expect(Operation.reset, 5000, 80)
    let (ours, machine) = try UnixSocket.pair(.sequencedPacket)
    try link.device.attach(broker: machine)
    try link.send(Operation.request, 5000, 80)
    #expect(try ours.waitUntilReadable(milliseconds: 10_000))
  }

  @Test func packetsOfAnotherGuestAreReset() throws {
    let link = try SocketGuest()
    var packet = SocketGuest.Packet()
    packet.operation = Operation.request
    packet.destinationCID = 7
    try link.send(packet)
    let used = try link.guest.queues[0].wait()
    #expect(used.written == 44)
    #expect(try link.broker.waitUntilReadable(milliseconds: 20) == false)
  }

  @Test(arguments: [Operation.request, Operation.response, 0, 8])
  func whatMakesNoSenseInAConnectionEndsIt(_ operation: UInt16) throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    try link.send(operation, 5000, 80)
    _ = try link.expect(Operation.reset, 5000, 80)
    #expect(socket.wait() == [])
  }

  @Test func aLengthBeyondTheBufferEndsTheConnection() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    var packet = SocketGuest.Packet()
    packet.operation = Operation.readWrite
    packet.sourcePort = 5000
    packet.destinationPort = 80
    packet.data = [1, 2, 3]
    packet.length = 4
    try link.send(packet)
    _ = try link.expect(Operation.reset, 5000, 80)
    #expect(socket.wait() == [])
  }

  // MARK: - Bounds

  @Test func thereIsAMostOfConnections() throws {
    let link = try SocketGuest()
    var sockets: [HostSocket] = []
    for port in 0..<UInt32(VirtioSocket.mostConnections) {
      sockets.append(try link.connectFromGuest(10_000 + port, 80))
    }
    try link.send(Operation.request, 9999, 80)
    _ = try link.expect(Operation.reset, 9999, 80)
    let visitor = try link.handOver()
    #expect(visitor.wait() == [])
    // One that the host has left makes room before the guest says goodbye.
    sockets[7].close()
    var packet = try link.expect(Operation.shutdown, 10_007, 80)
    if packet.flags != 3 { packet = try link.expect(Operation.shutdown, 10_007, 80) }
    try link.send(Operation.request, 9999, 80)
    _ = try link.expect(Operation.reset, 10_007, 80)
    let message = try link.brokerMessage()
    try link.broker.send(
      GuestPortMessage(request: message.request).encoded, descriptors: [HostSocket(SOCK_STREAM).device])
    #expect(try link.receive().destinationPort == 9999)
  }

  @Test func aDriverWithoutBuffersIsWaitedFor() throws {
    let link = try SocketGuest(rooms: 0)
    // Resets for which there is no room, until no more is taken.
    for _ in 0..<200 { try link.send(Operation.readWrite, 1, 1) }
    let place = link.guest.allocate(bytes: SocketGuest.Packet().bytes)
    for _ in 0..<200 { link.guest.queues[1].add([.readable(place, 44)]) }
    link.guest.queues[1].kick()
    usleep(20_000)
    var taken = 0
    while link.guest.queues[1].take() != nil { taken += 1 }
    #expect(taken == 56, "256 answers wait at most")
    try expectIdle(thread: link.device.name)
    link.addRooms(8)
    for _ in 0..<400 { _ = try link.expect(Operation.reset) }
    #expect(try link.receiveSoon() == nil)
  }

  @Test func hostsWithoutReadersInTheGuestCostNoTime() throws {
    let link = try SocketGuest(rooms: 2)
    let socket = try link.connectFromGuest(5000, 80)
    _ = try (0..<2).map { _ in
      socket.send([1])
      return try link.receive(givingBack: false)
    }
    socket.send([UInt8](repeating: 3, count: 100))
    try expectIdle(thread: link.device.name)
    socket.shutDownWriting()
    try expectIdle(thread: link.device.name)
    link.addRooms(4)
    #expect(try link.expect(Operation.readWrite).data.count == 100)
    _ = try link.expect(Operation.shutdown)
    try expectIdle(thread: link.device.name)
  }

  // MARK: - Life

  @Test func aResetEndsAllConnections() throws {
    let link = try SocketGuest()
    let socket = try link.connectFromGuest(5000, 80)
    try link.send(Operation.request, 5001, 80)
    let message = try link.brokerMessage()
    link.guest.reset()
    #expect(socket.wait() == [])
    // An answer to a request of then means nothing now.
    let late = HostSocket(SOCK_STREAM)
    try link.broker.send(GuestPortMessage(request: message.request).encoded, descriptors: [late.device])
    let lateSocket = HostSocket(keepingTestEndOf: late)
    link.start(rooms: 8)
    _ = consume late
    #expect(try link.receiveSoon() == nil)
    _ = try link.connectFromGuest(5000, 80)
    _ = lateSocket
  }

  @Test func aRestoredGuestLearnsThatItsConnectionsAreGone() throws {
    let link = try SocketGuest()
    let room = link.guest.allocate(4)
    link.guest.store([9, 9, 9, 9], at: room)
    link.guest.queues[2].add([.writable(room, 4)])
    link.guest.queues[2].kick()
    usleep(20_000)
    #expect(link.guest.queues[2].take() == nil, "nothing happened yet")
    let state = link.guest.device.state
    link.guest.device.state = state
    #expect(try link.guest.queues[2].wait().written == 4)
    #expect(link.guest.bytes(at: room, 4) == [0, 0, 0, 0])
    try link.send(Operation.readWrite, 5000, 80, data: [1])
    _ = try link.expect(Operation.reset, 5000, 80)
  }

  /// Until it has seen to that it would end new ones with them; and it heeds nobody who calls from a port that one of
  /// them had.
  @Test(arguments: 1...3) func aRestoredGuestIsCalledWhenItIsReady(rooms: Int) throws {
    let link = try SocketGuest()
    let (former, before) = try link.connectFromHost(to: 1234)
    let places = (0..<rooms).map { _ in link.guest.allocate(4) }
    for place in places { link.guest.queues[2].add([.writable(place, 4)]) }
    link.guest.queues[2].kick()
    let state = link.guest.device.state
    link.guest.device.state = state
    let told = try link.guest.queues[2].wait()
    let caller = try link.handOver()
    caller.send(Array("CONNECT 1234\n".utf8))
    #expect(try link.receiveSoon() == nil, "it may still have the connection of then")
    link.guest.queues[2].add([.writable(places[0], Int(told.written))])
    link.guest.queues[2].kick()
    let request = try link.expect(Operation.request, 1234)
    #expect(request.sourcePort != before)
    try link.send(Operation.response, 1234, request.sourcePort)
    #expect(String(decoding: caller.wait(), as: UTF8.self) == "OK \(request.sourcePort)\n")
    withExtendedLifetime(former) {}
  }

  /// Bytes of chance both ways over many connections, in pieces of chance, arrive whole and in order.
  @Test(.timeLimit(.minutes(5))) func manyConnectionsAtOnce() throws {
    var generator = VirtioFuzzTests.Generator(state: 0x5EED_5EED_1234_4321)
    struct Side {
      let socket: HostSocket
      let port: UInt32
      var toHost: [UInt8] = []
      var toGuest: [UInt8] = []
      var atGuest: [UInt8] = []
      var atHost: [UInt8] = []
      /// What the guest was told of room, and how much it sent.
      var forwarded: UInt32 = 0
    }
    let link = try SocketGuest(rooms: 64)
    var sides = try (0..<20).map { index -> Side in
      let port = UInt32(7000 + index)
      return Side(socket: try link.connectFromGuest(port, 80, bufferSize: 64 << 10), port: port)
    }
    func takePackets() throws {
      while let used = link.guest.queues[0].take() {
        let packet = try link.taken(used)
        let index = Int(packet.destinationPort) - 7000
        sides[index].forwarded = packet.forwarded
        if packet.operation == Operation.readWrite { sides[index].atGuest += packet.data }
        try #require(packet.operation != Operation.reset)
      }
    }
    for _ in 0..<3000 {
      let index = Int(generator.below(UInt64(sides.count)))
      let count = 1 + Int(generator.below(generator.below(4) == 0 ? 20_000 : 200))
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ sides[index].toHost.count) }
      if generator.below(2) == 0 {
        let room = 128 << 10 - Int(UInt32(sides[index].toHost.count) &- sides[index].forwarded)
        guard count <= room else { continue }
        try link.send(
          Operation.readWrite, sides[index].port, 80, data: bytes,
          forwarded: UInt32(sides[index].atGuest.count), bufferSize: 64 << 10)
        sides[index].toHost += bytes
      } else {
        let sent = sides[index].socket.send(bytes)
        sides[index].toGuest += bytes[..<sent]
      }
      try takePackets()
      if let came = sides[index].socket.receive(50_000) { sides[index].atHost += came }
    }
    for index in sides.indices {
      let rest = sides[index].toHost.count - sides[index].atHost.count
      sides[index].atHost += sides[index].socket.wait(exactly: rest)
      #expect(same(sides[index].atHost, sides[index].toHost), "\(index) to the host")
      let arrived = try eventually {
        try takePackets()
        try link.send(
          Operation.creditUpdate, sides[index].port, 80, forwarded: UInt32(sides[index].atGuest.count),
          bufferSize: 64 << 10)
        return sides[index].atGuest.count >= sides[index].toGuest.count
      }
      #expect(arrived && same(sides[index].atGuest, sides[index].toGuest), "\(index) to the guest")
    }
  }
}
