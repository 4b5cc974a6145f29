package import Devices
package import HostSystem
package import MachineControl
internal import Synchronization

/// A board's serial port and all that listens to it: streams, which come and go, and a file with the last of its
/// output. What the guest sends is handed around by a thread of its own; what the streams send goes to the port as it
/// has room.
///
/// Nobody holds up the guest: of what a stream is slow to take the oldest goes, up to a bound.
package final class SerialConsole: Sendable {
  /// Streams besides the one that the machine has from its start.
  package static let mostAttached = 8
  /// Bytes of earlier output that a new stream may have.
  package static let mostBacklog = 16 << 10
  /// Bytes of output that wait for the thread at most; beyond, the oldest go.
  private static let capacity = 64 << 10

  /// A stream that is to be joined.
  fileprivate struct Arrival {
    let stream: Descriptor
    /// Bytes of earlier output that it wants.
    let backlog: Int
    /// How much of the output that waited with it was earlier.
    var place: Int
  }

  /// What other threads leave for the console's.
  fileprivate struct Mail {
    var output: [UInt8] = []
    /// In the order of their places.
    var arrivals: [Arrival] = []
    /// Streams that are attached, or about to be.
    var attached = 0
    var isEnding = false

    mutating func add(_ byte: UInt8) {
      output.append(byte)
      guard output.count > SerialConsole.capacity else { return }
      let excess = SerialConsole.capacity / 4
      output.removeFirst(excess)
      for index in arrivals.indices { arrivals[index].place = max(0, arrivals[index].place - excess) }
    }
  }

  private let wake: EventCounter
  private let stream: Descriptor?
  private let log: ConsoleRingWriter?
  private let mail = Mutex(Mail())
  private let thread = Mutex<Thread?>(nil)

  /// `stream`, if there is one, is a socket that listens from the start, and becomes nonblocking; `log` keeps the
  /// last of the output.
  package init(stream: Descriptor? = nil, log: ConsoleRingWriter? = nil) throws(Errno) {
    self.stream = stream
    self.log = log
    try stream?.setNonblocking(true)
    wake = try EventCounter()
  }

  /// Joins the console to its port and starts its thread.
  package func connect(to port: UART16550) throws(Errno) {
    let loop = try SerialLoop(port: port, wake: wake, stream: stream, log: log)
    let started = try Thread.start(name: "serial") { self.serve(loop) }
    thread.withLock { $0 = started }
  }

  /// Takes a character from the guest.
  package func send(_ byte: UInt8) {
    let wasEmpty = mail.withLock {
      $0.add(byte)
      return $0.output.count == 1
    }
    if wasEmpty { wake.signal() }
  }

  package func send(_ bytes: UnsafeRawBufferPointer) { for byte in bytes { send(byte) } }

  /// The port has room again.
  package func hasRoom() { wake.signal() }

  /// Joins a stream socket, which becomes nonblocking and first gets up to `backlog` bytes of earlier output. False
  /// when there are ``mostAttached`` already.
  package func attach(_ stream: Descriptor, backlog: Int) throws(Errno) -> Bool {
    try stream.setNonblocking(true)
    let isTaken = mail.withLock { mail in
      guard mail.attached < Self.mostAttached else { return false }
      mail.attached += 1
      mail.arrivals.append(
        Arrival(
          stream: stream, backlog: min(max(0, backlog), Self.mostBacklog), place: mail.output.count))
      return true
    }
    if isTaken { wake.signal() }
    return isTaken
  }

  /// Hands around what is left, as far as it is taken at once, and ends the thread.
  package func stop() {
    mail.withLock { $0.isEnding = true }
    wake.signal()
    thread.withLock { $0.take() }?.join()
  }

  // MARK: - The thread

  private func serve(_ loop: SerialLoop) {
    while true {
      let (output, arrivals, isEnding) = mail.withLock { mail in
        defer {
          mail.output.removeAll(keepingCapacity: true)
          mail.arrivals = []
        }
        return (mail.output, mail.arrivals, mail.isEnding)
      }
      let gone = loop.handAround(output, arrivals: arrivals)
      if gone > 0 { mail.withLock { $0.attached -= gone } }
      if isEnding { return }
      loop.wait()
    }
  }
}

/// A serial console at work, confined to its thread once that runs.
private final class SerialLoop: @unchecked Sendable {
  private enum Token {
    static let wake: UInt64 = 0
    /// The stream that is there from the start.
    static let first: UInt64 = 1
  }

  private let port: UART16550
  private let wake: EventCounter
  private let poller: Poller
  private var log: ConsoleRingWriter?
  private var streams: [UInt64: ConsoleStream] = [:]
  private var lastToken = Token.first
  /// The last of the output, for streams that are still to come.
  private var backlog: [UInt8] = []
  /// What the port has no room for yet. Until then no stream is read.
  private var input: [UInt8] = []

  init(
    port: UART16550, wake: EventCounter, stream: Descriptor?, log: ConsoleRingWriter?
  ) throws(Errno) {
    self.port = port
    self.wake = wake
    self.log = log
    poller = try Poller()
    try poller.add(wake.descriptor.raw, .read, token: Token.wake)
    if let stream {
      try poller.add(stream.raw, .read, token: Token.first)
      streams[Token.first] = ConsoleStream(stream)
    }
  }

  /// Hands output to all that listen, and to who comes from its place on. Returns how many that were attached are
  /// gone.
  func handAround(_ output: [UInt8], arrivals: [SerialConsole.Arrival]) -> Int {
    // A full disk costs the file its output, and nobody else.
    if !output.isEmpty { try? log?.append(output) }
    var gone = 0
    var rest = output[...]
    for arrival in arrivals {
      spread(rest[..<arrival.place])
      rest = rest[arrival.place...]
      if !add(arrival) { gone += 1 }
    }
    spread(rest)
    for token in streams.keys { streams[token]?.flush() }
    feed()
    for (token, stream) in streams {
      if stream.isGone {
        try? poller.remove(stream.socket.raw)
        streams[token] = nil
        if token != Token.first { gone += 1 }
      } else {
        watch(token, stream)
      }
    }
    return gone
  }

  private func spread(_ output: ArraySlice<UInt8>) {
    guard !output.isEmpty else { return }
    backlog += output
    if backlog.count > 2 * SerialConsole.mostBacklog {
      backlog.removeFirst(backlog.count - SerialConsole.mostBacklog)
    }
    for token in streams.keys { streams[token]?.add(output) }
  }

  private func add(_ arrival: SerialConsole.Arrival) -> Bool {
    guard (try? poller.add(arrival.stream.raw, .read, token: lastToken + 1)) != nil else { return false }
    lastToken += 1
    var stream = ConsoleStream(arrival.stream)
    stream.add(backlog.suffix(arrival.backlog))
    streams[lastToken] = stream
    return true
  }

  private func watch(_ token: UInt64, _ stream: ConsoleStream) {
    var interest: Poller.Interest = []
    if input.isEmpty, !stream.hasInputEnded { interest.insert(.read) }
    if !stream.pending.isEmpty { interest.insert(.write) }
    guard interest != stream.interest else { return }
    try? poller.modify(stream.socket.raw, interest, token: token)
    streams[token]?.interest = interest
  }

  /// Waits until there is something to do, and reads what the streams have for the guest.
  func wait() {
    for event in (try? poller.wait()) ?? [] {
      if event.token == Token.wake {
        wake.drain()
      } else {
        input += streams[event.token]?.receive(event.readiness) ?? []
      }
    }
  }

  private func feed() {
    guard !input.isEmpty else { return }
    input.removeFirst(port.receive(input))
  }
}
