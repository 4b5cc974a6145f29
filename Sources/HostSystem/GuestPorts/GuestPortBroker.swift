internal import Glibc

/// Opens sockets for a machine that cannot: hands over what connects to a path, and connects to the path of a port
/// when the machine asks for it. Works on a thread of its own, from its making until ``stop()`` or the machine's end.
package final class GuestPortBroker: Sendable {
  /// Bytes that the path may have: a port's is longer.
  package static let longestPath = UnixSocket.longestPath - "_4294967295".utf8.count

  private let listener: UnixListener
  private let thread: Thread
  private let wake: EventCounter

  /// `machine` is this side's end of a packet socket, on which ``GuestPortMessage`` are spoken.
  package init(listener: UnixListener, machine: UnixSocket) throws(Errno) {
    self.listener = listener
    let wake = try EventCounter()
    self.wake = wake
    try machine.descriptor.setNonblocking(true)
    let loop = try GuestPortLoop(listener: listener, machine: machine, wake: wake)
    thread = try Thread.start(name: "guest-ports") { loop.run() }
  }

  deinit {
    stop()
    thread.join()
  }

  /// Removes the path and hands over nothing more.
  package func stop() {
    wake.signal()
    listener.remove()
  }

  /// Where programs of the host listen for a port.
  package static func path(ofPort port: UInt32, besides path: String) -> String { "\(path)_\(port)" }
}

/// The broker at work, confined to its thread once that runs.
private final class GuestPortLoop: @unchecked Sendable {
  private enum Token {
    static let wake: UInt64 = 0
    static let machine: UInt64 = 1
    static let listener: UInt64 = 2
  }

  /// Milliseconds without new connections when this process has no descriptor left for one.
  private static let rest: Int32 = 100

  private let listener: UnixListener
  private let machine: UnixSocket
  private let poller: Poller
  /// Keeps the counter open that wakes the thread.
  private let wake: EventCounter
  /// What the machine has no room for yet. Until then nothing more is taken.
  private var held: (message: GuestPortMessage, socket: UnixSocket?)?
  private var isResting = false
  private var listensFor: Poller.Interest = .read
  private var machineFor: Poller.Interest = .read

  init(listener: UnixListener, machine: UnixSocket, wake: EventCounter) throws(Errno) {
    self.listener = listener
    self.machine = machine
    self.wake = wake
    poller = try Poller()
    try poller.add(wake.descriptor.raw, .read, token: Token.wake)
    try poller.add(machine.descriptor.raw, .read, token: Token.machine)
    try poller.add(listener.descriptor.raw, .read, token: Token.listener)
  }

  func run() {
    defer { listener.remove() }
    while true {
      updateWatch()
      let events = (try? poller.wait(milliseconds: isResting ? Self.rest : -1)) ?? []
      isResting = false
      for event in events {
        switch event.token {
        case Token.wake: return
        case Token.machine: if !serveMachine() { return }
        default: accept()
        }
      }
    }
  }

  private func updateWatch() {
    set(&machineFor, held == nil ? .read : .write, machine.descriptor, Token.machine)
    set(&listensFor, held == nil && !isResting ? .read : [], listener.descriptor, Token.listener)
  }

  private func set(
    _ current: inout Poller.Interest, _ wanted: Poller.Interest, _ descriptor: Descriptor, _ token: UInt64
  ) {
    guard current != wanted else { return }
    current = wanted
    try? poller.modify(descriptor.raw, wanted, token: token)
  }

  /// Hands over a socket, or says that there is none; keeps it when there is no room.
  private func hand(_ message: GuestPortMessage, _ socket: UnixSocket?) {
    do {
      try machine.send(message.encoded, descriptors: socket.map { [$0.descriptor] } ?? [])
    } catch {
      if error == .again {
        held = (message, socket)
      } else if socket != nil, message.request != 0 {
        // The kernel passes no more descriptors for this user: as good as nobody there.
        hand(message, nil)
      }
    }
  }

  private func accept() {
    guard held == nil else { return }
    do throws(Errno) {
      if let socket = try listener.accept() { hand(GuestPortMessage(request: 0), socket) }
    } catch { isResting = true }
  }

  /// False when the machine is gone.
  private func serveMachine() -> Bool {
    if let (message, socket) = held.take() {
      hand(message, socket)
      return true
    }
    do throws(Errno) {
      let packet = try machine.receive(capacity: 2 * GuestPortMessage.size).bytes
      if packet.isEmpty { return false }
      guard let message = GuestPortMessage(decoding: packet), message.request != 0 else { return true }
      let path = GuestPortBroker.path(ofPort: message.port, besides: listener.path)
      hand(message, try? UnixSocket.connect(toPath: path))
      return true
    } catch {
      return error == .again
    }
  }
}
