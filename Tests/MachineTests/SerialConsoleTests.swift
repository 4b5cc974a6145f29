import Devices
import Glibc
import HostSystem
import Machine
import MachineControl
import Testing

/// A port, what listens to it, and the guest's side of it: registers.
private final class Console {
  let console: SerialConsole
  let port: UART16550

  init(stream: Descriptor? = nil, log: Descriptor? = nil) throws {
    let log = try log.map { try ConsoleRingWriter($0) }
    let console = try SerialConsole(stream: stream, log: log)
    self.console = console
    port = UART16550(
      interrupt: .unconnected, output: { console.send($0) }, hasRoom: { console.hasRoom() })
    try console.connect(to: port)
    // FIFOs on, 8 bits.
    try port.write(offset: 2, width: 1, value: 1)
    try port.write(offset: 3, width: 1, value: 3)
  }

  deinit { console.stop() }

  func print(_ text: String) throws {
    for byte in text.utf8 { try port.write(offset: 0, width: 1, value: UInt64(byte)) }
  }

  /// Reads as a guest's driver does that polls, until so many characters have come.
  func read(_ count: Int, within milliseconds: Int = 10_000) throws -> String {
    var bytes: [UInt8] = []
    for _ in 0..<milliseconds where bytes.count < count {
      while try port.read(offset: 5, width: 1) & 1 != 0 {
        bytes.append(UInt8(try port.read(offset: 0, width: 1)))
      }
      if bytes.count < count { usleep(1000) }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func attach(backlog: Int = 0) throws -> UnixSocket? {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    return try console.attach(theirs.descriptor, backlog: backlog) ? ours : nil
  }
}

@Suite struct SerialConsoleTests {
  /// Receives until so many bytes are there, or the end.
  private func receive(_ socket: UnixSocket, _ count: Int) throws -> String {
    var bytes: [UInt8] = []
    while bytes.count < count, try socket.waitUntilReadable(milliseconds: 10_000) {
      let came = try socket.receive(capacity: count - bytes.count).bytes
      if came.isEmpty { break }
      bytes += came
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func allWhoListenHearAndMaySpeak() throws {
    let (first, theirs) = try UnixSocket.pair(.stream)
    let console = try Console(stream: theirs.descriptor)
    try console.print("login: ")
    #expect(try receive(first, 7) == "login: ")
    let second = try #require(try console.attach())
    let third = try #require(try console.attach(backlog: 100))
    #expect(try receive(third, 7) == "login: ")
    try console.print("hello")
    for socket in [first, second, third] { #expect(try receive(socket, 5) == "hello") }
    try first.send(Array("ab".utf8))
    #expect(try console.read(2) == "ab")
    // More than the port takes at once.
    let line = String(repeating: "0123456789", count: 50)
    try third.send(Array(line.utf8))
    #expect(try console.read(500) == line)
  }

  @Test func theBacklogIsWhatWasLast() throws {
    let console = try Console()
    let probe = try #require(try console.attach())
    var all = ""
    for number in 0..<9000 {
      let line = "line \(number)\n"
      all += line
      try console.print(line)
      #expect(try receive(probe, line.utf8.count) == line)
    }
    for (wanted, gets) in [(0, 0), (10, 10), (16 << 10, 16 << 10), (.max, 16 << 10), (-1, 0)] {
      let socket = try #require(try console.attach(backlog: wanted))
      try console.print("!")
      all += "!"
      _ = try receive(probe, 1)
      #expect(try receive(socket, gets + 1) == String(all.suffix(gets + 1)))
    }
  }

  @Test func thereIsRoomForEight() throws {
    let (first, theirs) = try UnixSocket.pair(.stream)
    let console = try Console(stream: theirs.descriptor)
    var sockets = try (0..<8).map { _ in try #require(try console.attach()) }
    #expect(try console.attach() == nil)
    // One that closes makes room, also when it had something to say.
    try sockets[3].send(Array("bye".utf8))
    sockets.remove(at: 3)
    #expect(try console.read(3) == "bye")
    var another: UnixSocket?
    for _ in 0..<10_000 where another == nil {
      another = try console.attach()
      if another == nil { usleep(1000) }
    }
    let last = try #require(another)
    #expect(try console.attach() == nil)
    try console.print("x")
    for socket in sockets + [last, first] { #expect(try receive(socket, 1) == "x") }
  }

  /// One that has said all it will may still listen.
  @Test func aStreamMayEndHalf() throws {
    let console = try Console()
    let socket = try #require(try console.attach())
    try socket.send(Array("go".utf8))
    socket.finishSending()
    #expect(try console.read(2) == "go")
    usleep(10_000)
    try console.print("still")
    #expect(try receive(socket, 5) == "still")
  }

  /// Who does not read loses what is old, and nobody else does; the guest does not wait.
  @Test(.timeLimit(.minutes(10)))
  func theSlowLoseOutput() throws {
    let console = try Console()
    let slow = try #require(try console.attach())
    let quick = try #require(try console.attach())
    let block = String(repeating: "x", count: 999) + "\n"
    for _ in 0..<2000 {
      try console.print(block)
      #expect(try receive(quick, 1000) == block)
    }
    try console.print("END")
    #expect(try receive(quick, 3) == "END")
    var seen = ""
    var count = 0
    while try slow.waitUntilReadable(milliseconds: 500) {
      let bytes = try slow.receive(capacity: 65_536).bytes
      count += bytes.count
      seen = String((seen + String(decoding: bytes, as: UTF8.self)).suffix(3))
    }
    #expect(seen == "END")
    #expect(count < 1_000_000, "what is kept has a bound")
  }

  @Test func theLogHasAllAndTheEnd() throws {
    let file = try Descriptor.memory(name: "ring")
    do {
      let console = try Console(log: file)
      for number in 0..<1000 { try console.print("line \(number)\n") }
      console.console.stop()
    }
    let expected = (0..<1000).map { "line \($0)\n" }.joined()
    let read = try ConsoleRing.read(last: .max, from: file)
    #expect(read.end == UInt64(expected.utf8.count))
    #expect(String(decoding: read.bytes, as: UTF8.self) == expected)
    // The next machine with the file goes on.
    let console = try Console(log: file)
    try console.print("again")
    console.console.stop()
    #expect(try ConsoleRing.read(last: 5, from: file).bytes == Array("again".utf8))
    #expect(try ConsoleRing.read(last: 5, from: file).end == UInt64(expected.utf8.count) + 5)
  }
}
