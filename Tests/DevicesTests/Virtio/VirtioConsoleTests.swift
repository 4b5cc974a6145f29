import Devices
import Glibc
import GuestMemory
import HostSystem
import Testing

@Suite struct VirtioConsoleTests {
  enum Event {
    static let deviceReady: UInt16 = 0
    static let deviceAdd: UInt16 = 1
    static let portReady: UInt16 = 3
    static let consolePort: UInt16 = 4
    static let resize: UInt16 = 5
    static let portOpen: UInt16 = 6
    static let portName: UInt16 = 7
  }

  struct Message: Equatable {
    var port: UInt32
    var event: UInt16
    var value: UInt16 = 1
    var tail: [UInt8] = []
  }

  /// A guest with a console and a port named `agent`, each on a socket.
  final class Terminal {
    let console: HostSocket
    let agent: HostSocket
    let device: VirtioConsole
    let guest: VirtioGuest
    private var controlRooms: [UInt16: UInt64] = [:]
    private var rooms: [UInt16: UInt64] = [:]

    init(features: UInt64? = nil, agentAttached: Bool = true) throws {
      console = HostSocket(SOCK_STREAM)
      agent = HostSocket(SOCK_STREAM)
      device = try VirtioConsole(
        name: uniqueThreadName(),
        ports: [
          VirtioConsole.Port(socket: console.device),
          VirtioConsole.Port(name: "agent", socket: agentAttached ? agent.device : nil),
        ])
      guest = try VirtioGuest(device)
      guest.start(features: features)
      if guest.features & 2 != 0 { for _ in 0..<16 { addControlRoom() } }
    }

    func receiveQueue(_ port: Int) -> GuestQueue { guest.queues[port == 0 ? 0 : 2 + 2 * port] }
    func transmitQueue(_ port: Int) -> GuestQueue { guest.queues[port == 0 ? 1 : 3 + 2 * port] }

    func addControlRoom() {
      let room = guest.allocate(64)
      controlRooms[guest.queues[2].add([.writable(room, 64)])] = room
      guest.queues[2].kick()
    }

    func send(_ message: Message) throws {
      let slice = guest.slice(guest.allocate(8), 8)
      slice.store(message.port, at: 0)
      slice.store(message.event, at: 4)
      slice.store(message.value, at: 6)
      try guest.queues[3].call([.readable(slice.address, 8)])
    }

    func receive() throws -> Message {
      let used = try guest.queues[2].wait()
      let room = try #require(controlRooms[used.head])
      let slice = guest.slice(room, used.written)
      defer { addControlRoom() }
      return Message(
        port: slice.load(at: 0), event: slice.load(at: 4), value: slice.load(at: 6),
        tail: Array(slice.copyBytes()[8...]))
    }

    /// The messages by which a driver learns of both ports; it opens them.
    func handshake() throws {
      try send(Message(port: 0, event: Event.deviceReady))
      for _ in 0..<2 { _ = try receive() }
      for port: UInt32 in 0..<2 {
        try send(Message(port: port, event: Event.portReady))
        for _ in 0..<2 { _ = try receive() }
        try send(Message(port: port, event: Event.portOpen))
      }
    }

    /// Adds room for what the host sends.
    func addRoom(_ port: Int, _ count: Int) {
      let room = guest.allocate(count)
      rooms[receiveQueue(port).add([.writable(room, count)])] = room
      receiveQueue(port).kick()
    }

    /// Waits for bytes from the host, in rooms added before.
    func read(_ port: Int) throws -> [UInt8] {
      let used = try receiveQueue(port).wait()
      return guest.bytes(at: try #require(rooms[used.head]), used.written)
    }

    /// Has the guest write as much as a queue takes, which is more than a socket does.
    func fill(_ queue: GuestQueue) -> [UInt8] {
      var written: [UInt8] = []
      for number in 0..<queue.size {
        let bytes = VirtioNetTests.frame(32 << 10, seed: UInt8(truncatingIfNeeded: number))
        queue.add([.readable(guest.allocate(bytes: bytes), bytes.count)])
        written += bytes
      }
      queue.kick()
      return written
    }

    func write(_ port: Int, _ bytes: [UInt8]) throws {
      try transmitQueue(port).call([.readable(guest.allocate(bytes: bytes), bytes.count)])
    }
  }

  @Test func handshake() throws {
    let terminal = try Terminal()
    #expect(terminal.guest.configuration(4) == 2)
    try terminal.send(Message(port: 0, event: Event.deviceReady))
    #expect(try terminal.receive() == Message(port: 0, event: Event.deviceAdd))
    #expect(try terminal.receive() == Message(port: 1, event: Event.deviceAdd))
    try terminal.send(Message(port: 0, event: Event.portReady))
    #expect(try terminal.receive() == Message(port: 0, event: Event.consolePort))
    #expect(try terminal.receive() == Message(port: 0, event: Event.portOpen))
    try terminal.send(Message(port: 1, event: Event.portReady))
    #expect(try terminal.receive() == Message(port: 1, event: Event.portName, tail: Array("agent".utf8)))
    #expect(try terminal.receive() == Message(port: 1, event: Event.portOpen))
  }

  @Test func messagesThatMakeNoSense() throws {
    let terminal = try Terminal()
    for event: UInt16 in 0..<10 {
      for port: UInt32 in [0, 1, 2, .max] where event != 0 || port > 1 {
        try terminal.send(Message(port: port, event: event, value: 7))
      }
    }
    try terminal.guest.queues[3].call([.readable(terminal.guest.allocate(8), 7)])
    try terminal.guest.queues[3].call([.writable(terminal.guest.allocate(8), 8)])
    terminal.guest.start()
    for _ in 0..<16 { terminal.addControlRoom() }
    try terminal.handshake()
    #expect(terminal.guest.reports.lines == [])
  }

  /// A driver that asks again and again but takes no answers makes nothing grow.
  @Test func messagesWaitForRoom() throws {
    let terminal = try Terminal()
    terminal.guest.start()
    for _ in 0..<1000 { try terminal.send(Message(port: 0, event: Event.deviceReady)) }
    #expect(terminal.guest.queues[2].take() == nil)
    for _ in 0..<10 { terminal.addControlRoom() }
    #expect(try terminal.receive() == Message(port: 0, event: Event.deviceAdd))
    #expect(try terminal.receive() == Message(port: 1, event: Event.deviceAdd))
  }

  @Test(arguments: [0, 1])
  func bytesGoBothWays(port: Int) throws {
    let terminal = try Terminal()
    try terminal.handshake()
    let socket = port == 0 ? terminal.console : terminal.agent
    try terminal.write(port, Array("hello, host".utf8))
    #expect(socket.wait(exactly: 11) == Array("hello, host".utf8))
    terminal.addRoom(port, 100)
    socket.send(Array("hello, guest".utf8))
    #expect(try terminal.read(port) == Array("hello, guest".utf8))
  }

  @Test func withoutMultiportThereIsOnePort() throws {
    let terminal = try Terminal(features: VirtioGuest.version1)
    try terminal.write(0, [1, 2, 3])
    #expect(terminal.console.wait(exactly: 3) == [1, 2, 3])
    terminal.console.send([4, 5])
    terminal.addRoom(0, 10)
    #expect(try terminal.read(0) == [4, 5])
  }

  @Test func nothingIsDeliveredBeforeTheGuestOpens() throws {
    let terminal = try Terminal()
    try terminal.send(Message(port: 0, event: Event.deviceReady))
    try terminal.send(Message(port: 1, event: Event.portReady))
    terminal.addRoom(1, 100)
    terminal.agent.send([1, 2, 3])
    usleep(10_000)
    #expect(terminal.receiveQueue(1).take() == nil)
    try terminal.send(Message(port: 1, event: Event.portOpen))
    #expect(try terminal.read(1) == [1, 2, 3])
  }

  @Test func endOfStreamClosesThePortBehindTheLastByte() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    terminal.agent.send([1, 2, 3, 4, 5])
    terminal.agent.shutDownWriting()
    terminal.addRoom(1, 3)
    #expect(try terminal.read(1) == [1, 2, 3])
    #expect(terminal.guest.queues[2].take() == nil, "bytes are left")
    terminal.addRoom(1, 3)
    terminal.addRoom(1, 3)
    #expect(try terminal.read(1) == [4, 5])
    #expect(try terminal.receive() == Message(port: 1, event: Event.portOpen, value: 0))
    // The other direction stays.
    try terminal.write(1, [6])
    #expect(terminal.agent.wait(exactly: 1) == [6])
  }

  @Test func guestsClosingEndsTheStreamBehindTheLastByte() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    let bytes = [UInt8](repeating: 0x55, count: 1 << 20)
    let address = terminal.guest.allocate(bytes: bytes)
    terminal.transmitQueue(1).add([.readable(address, bytes.count)])
    terminal.transmitQueue(1).kick()
    try terminal.send(Message(port: 1, event: Event.portOpen, value: 0))
    #expect(same(terminal.agent.wait(exactly: bytes.count), bytes))
    var end: [UInt8]?
    #expect(
      eventually {
        end = terminal.agent.receive()
        return end != nil
      })
    #expect(end == [], "the end of the stream")
    #expect(try terminal.transmitQueue(1).wait().written == 0)
  }

  @Test func aSlowHostMakesTheGuestWait() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    let queue = terminal.transmitQueue(1)
    let expected = terminal.fill(queue)
    // Two megabytes do not fit into a socket: some requests stay.
    usleep(20_000)
    var done = 0
    while queue.take() != nil { done += 1 }
    #expect(done < queue.size)
    // The console is not held up by it.
    try terminal.write(0, [1])
    #expect(terminal.console.wait(exactly: 1) == [1])
    #expect(same(terminal.agent.wait(exactly: expected.count), expected))
    while done < queue.size {
      _ = try queue.wait()
      done += 1
    }
  }

  /// A guest that has written and switches itself off at once; who reads takes their time.
  @Test func theEndWaitsForWhoReads() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    let queue = terminal.transmitQueue(1)
    let expected = terminal.fill(queue)
    let device = terminal.device
    let end = try Thread.start(name: "end") { device.stop() }
    usleep(20_000)
    #expect(same(terminal.agent.wait(exactly: expected.count), expected))
    end.join()
  }

  /// Nobody reads, and the power is cut.
  @Test func theEndDoesNotWaitForNobody() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    _ = terminal.fill(terminal.transmitQueue(1))
    let device = terminal.device
    let start = monotonicNanoseconds()
    let end = try Thread.start(name: "end") { device.stop() }
    usleep(20_000)
    device.abandonOutput()
    end.join()
    #expect(monotonicNanoseconds() - start < 20_000_000_000)
  }

  @Test func aSlowGuestMakesTheHostWait() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    var sent = 0
    while true {
      let count = terminal.agent.send(VirtioNetTests.frame(4096))
      if count == 0 { break }
      sent += count
    }
    #expect(sent < 8 << 20)
    var received: [UInt8] = []
    while received.count < sent {
      terminal.addRoom(1, 4096)
      received += try terminal.read(1)
    }
    #expect(received.count == sent)
    #expect(same(Array(received[..<4096]), VirtioNetTests.frame(4096)))
  }

  @Test func bytesWrittenBeforeTheHostComesAreKept() throws {
    let terminal = try Terminal(agentAttached: false)
    try terminal.send(Message(port: 0, event: Event.deviceReady))
    for _ in 0..<2 { _ = try terminal.receive() }
    try terminal.send(Message(port: 1, event: Event.portReady))
    #expect(try terminal.receive().event == Event.portName)
    try terminal.send(Message(port: 1, event: Event.portOpen))
    let queue = terminal.transmitQueue(1)
    queue.add([.readable(terminal.guest.allocate(bytes: [1, 2, 3]), 3)])
    queue.kick()
    usleep(5000)
    #expect(queue.take() == nil)
    try terminal.device.attach(terminal.agent.device, toPort: 1)
    #expect(terminal.agent.wait(exactly: 3) == [1, 2, 3])
    #expect(try terminal.receive() == Message(port: 1, event: Event.portOpen))
    _ = try queue.wait()
  }

  @Test func anotherSocketOpensThePortAgain() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    terminal.addRoom(1, 10)
    terminal.agent.close()
    #expect(try terminal.receive() == Message(port: 1, event: Event.portOpen, value: 0))
    try terminal.write(1, [1])  // nobody reads it
    try expectIdle(thread: terminal.device.name)
    let next = HostSocket(SOCK_STREAM)
    try terminal.device.attach(next.device, toPort: 1)
    #expect(try terminal.receive() == Message(port: 1, event: Event.portOpen))
    try terminal.write(1, [2])
    #expect(next.wait(exactly: 1) == [2])
    next.send([3])
    #expect(try terminal.read(1) == [3])
  }

  @Test func sizes() throws {
    let terminal = try Terminal()
    terminal.device.resize(columns: 120, rows: 40)
    try terminal.send(Message(port: 0, event: Event.deviceReady))
    for _ in 0..<2 { _ = try terminal.receive() }
    try terminal.send(Message(port: 0, event: Event.portReady))
    #expect(try terminal.receive() == Message(port: 0, event: Event.consolePort))
    #expect(try terminal.receive() == Message(port: 0, event: Event.resize, tail: [120, 0, 40, 0]))
    #expect(try terminal.receive() == Message(port: 0, event: Event.portOpen))
    terminal.device.resize(columns: 300, rows: 50)
    #expect(try terminal.receive() == Message(port: 0, event: Event.resize, tail: [44, 1, 50, 0]))
    #expect(terminal.guest.configuration(0, width: 2) == 300)
    #expect(terminal.guest.configuration(2, width: 2) == 50)
    #expect(terminal.guest.read(0x60) & 2 != 0)
  }

  @Test func emergencyWriteNeedsNoDriver() throws {
    let terminal = try Terminal()
    terminal.guest.reset()
    for character in "panic".utf8 {
      #expect(terminal.guest.write(0x108, UInt64(character)))
    }
    #expect(terminal.console.wait(exactly: 5) == Array("panic".utf8))
    #expect(!terminal.guest.write(0x100, 80), "the size is not the driver's to set")
  }

  /// After a reset, another driver finds the same sockets.
  @Test func socketsOutliveTheDriver() throws {
    let terminal = try Terminal()
    try terminal.handshake()
    terminal.guest.start()
    for _ in 0..<16 { terminal.addControlRoom() }
    try terminal.handshake()
    try terminal.write(1, [9])
    #expect(terminal.agent.wait(exactly: 1) == [9])
  }
}
