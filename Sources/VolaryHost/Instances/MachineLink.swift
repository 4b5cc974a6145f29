internal import Glibc
package import HostSystem
package import MachineControl
internal import Synchronization

/// The connection to a machine's process. A thread of its own waits for what the machine tells; requests come from
/// anywhere.
///
/// The machine does not end with it: a link that is cut leaves it as it is.
package final class MachineLink: Sendable {
  /// What the owner is told, on the link's thread.
  package enum Event: Sendable {
    case machine(ControlEvent)
    /// Nothing more comes: the machine has ended, or the link was cut.
    case closed
  }

  /// What is to be asked of the machine, on the link's thread, and who waits for its answer.
  private struct Order: Sendable {
    /// Returns whether the machine is still there.
    let carryOut: @Sendable (ControlClient) -> Bool
    let refuse: @Sendable () -> Void
  }

  private struct State {
    var orders: [Order] = []
    var isCut = false
    var isClosed = false
  }

  private let state = Mutex(State())
  private let wake: EventCounter
  /// Lines to the guest's first process.
  private let port: UnixSocket
  /// Connections to the guest's sockets are handed over here.
  private let broker: UnixSocket

  /// Takes over the connection to a machine that was started.
  package convenience init(
    _ machine: StartedMachine, onEvent: @escaping @Sendable (Event) -> Void
  ) throws(Errno) {
    try self.init(machine.control, port: machine.port, broker: machine.broker, onEvent: onEvent)
  }

  /// Connects to a machine that goes on since another controller had it, which it had better not have any more.
  /// Throws ``ControlError/closed`` when there is none.
  package convenience init(
    adopting folder: InstanceFolder, onEvent: @escaping @Sendable (Event) -> Void
  ) throws(ControlError) {
    let control = try folder.withControlPath { (path) throws(ControlError) in
      try ControlClient(connectingTo: path)
    }
    let ours: UnixSocket
    let theirs: UnixSocket
    let broker: UnixSocket
    let brokerOfMachine: UnixSocket
    do throws(Errno) {
      (ours, theirs) = try UnixSocket.pair(.stream)
      (broker, brokerOfMachine) = try UnixSocket.pair(.sequencedPacket)
    } catch { throw .system(error) }
    try control.call(.attachPort(name: GuestPort.control), descriptors: [theirs.descriptor])
    do throws(ControlError) {
      try control.call(.attachBroker, descriptors: [brokerOfMachine.descriptor])
    } catch {
      // A machine that an earlier version started has no socket device: its guest has no agent.
      guard case .refused = error else { throw error }
    }
    do throws(Errno) { try self.init(control, port: ours, broker: broker, onEvent: onEvent) } catch {
      throw .system(error)
    }
  }

  private init(
    _ control: ControlClient, port: UnixSocket, broker: UnixSocket,
    onEvent: @escaping @Sendable (Event) -> Void
  ) throws(Errno) {
    self.port = port
    self.broker = broker
    try broker.descriptor.setNonblocking(true)
    wake = try EventCounter()
    try port.descriptor.setNonblocking(true)
    // The client is for one thread, which is this one from here on.
    nonisolated(unsafe) let control = control
    _ = try Thread.start(name: "machine-link", stackSize: 128 << 10) { self.serve(control, onEvent) }
  }

  /// Asks the machine, and waits for its answer.
  @discardableResult
  package func call(_ request: ControlRequest, descriptors: [Descriptor] = []) async throws -> ControlReply {
    try await order { (control) throws(ControlError) in
      try control.call(request, descriptors: descriptors)
    }
  }

  /// Has a moment of the machine kept, for which its disks are flushed. Returns the files of the guest's memory, if
  /// they were asked for.
  @discardableResult
  package func checkpoint(
    _ checkpoint: Checkpoint, descriptors: [Descriptor], milliseconds: Int32 = 120_000
  ) async throws -> [Descriptor] {
    try await order { (control) throws(ControlError) in
      try control.checkpoint(checkpoint, descriptors: descriptors, milliseconds: milliseconds)
    }
  }

  /// Gives a mirrored disk the side that it lacks.
  package func attach(
    _ side: MachineConfiguration.Disk.Side, to disk: String, descriptors: [Descriptor]
  ) async throws {
    try await order { (control) throws(ControlError) in
      try control.attach(side, to: disk, descriptors: descriptors)
    }
  }

  /// Has the machine go on from what was kept, in place of what it is.
  package func revert(
    _ reversion: Reversion, descriptors: [Descriptor], milliseconds: Int32 = 120_000
  ) async throws {
    try await order { (control) throws(ControlError) in
      try control.revert(reversion, descriptors: descriptors, milliseconds: milliseconds)
    }
  }

  /// Whether nothing comes from the machine any more, and nothing reaches it.
  package var isClosed: Bool { state.withLock { $0.isClosed || $0.isCut } }

  private func order<Value: Sendable>(
    _ body: @escaping @Sendable (ControlClient) throws(ControlError) -> Value
  ) async throws -> Value {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
      let order = Order(
        carryOut: { control in
          do throws(ControlError) {
            continuation.resume(returning: try body(control))
            return true
          } catch {
            continuation.resume(throwing: error)
            return error != .closed
          }
        }, refuse: { continuation.resume(throwing: ControlError.closed) })
      let isClosed = state.withLock { state in
        if !state.isClosed { state.orders.append(order) }
        return state.isClosed
      }
      if isClosed { order.refuse() } else { wake.signal() }
    }
  }

  /// Joins the machine's console: a stream both ways, which begins with up to `backlog` bytes of what there was.
  package func attachConsole(backlog: UInt32) async throws -> UnixSocket {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    try await call(.attachConsole(backlog: backlog), descriptors: [theirs.descriptor])
    return ours
  }

  /// Begins a connection to a port of the guest's sockets (vsock(7)). The first line that comes is `OK` and a number
  /// when a program of the guest's has taken it; the end comes when there is none. The socket is nonblocking.
  package func connect(toPort port: UInt32) throws(Errno) -> UnixSocket {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    try ours.descriptor.setNonblocking(true)
    let greeting = Array("CONNECT \(port)\n".utf8)
    // A new socket has room for a line.
    let sent = greeting.withUnsafeBytes {
      send(ours.descriptor.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard sent == greeting.count else { throw .again }
    try broker.send(GuestPortMessage(request: 0).encoded, descriptors: [theirs.descriptor])
    return ours
  }

  /// Asks the guest's first process to switch off. Whether it listens shows in what it does.
  package func askGuestToEnd() {
    let word = Array("stop 15\n".utf8)
    _ = word.withUnsafeBytes {
      send(port.descriptor.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// Lets go of the machine.
  package func cut() {
    state.withLock { $0.isCut = true }
    wake.signal()
  }

  // MARK: - The thread

  private func serve(_ control: ControlClient, _ onEvent: @Sendable (Event) -> Void) {
    var isOpen = true
    var isBrokerOpen = true
    while isOpen, !state.withLock({ $0.isCut }) {
      wake.drain()
      let orders = state.withLock { state in
        defer { state.orders = [] }
        return state.orders
      }
      for order in orders where !order.carryOut(control) { isOpen = false }
      do throws(ControlError) {
        while let event = try control.nextEvent() { onEvent(.machine(event)) }
      } catch { isOpen = false }
      drainPort()
      if isBrokerOpen { isBrokerOpen = refuseConnections() }
      guard isOpen else { break }
      var entries = [
        pollfd(fd: control.socket.descriptor.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wake.descriptor.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: isBrokerOpen ? broker.descriptor.raw : -1, events: Int16(POLLIN), revents: 0),
      ]
      poll(&entries, nfds_t(entries.count), -1)
    }
    let orders = state.withLock { state in
      state.isClosed = true
      defer { state.orders = [] }
      return state.orders
    }
    for order in orders { order.refuse() }
    onEvent(.closed)
  }

  /// No program of the host's is there for the guest's: whoever asks is told so. False when nobody asks any more.
  private func refuseConnections() -> Bool {
    while true {
      let packet: [UInt8]
      do throws(Errno) { packet = try broker.receive(capacity: 2 * GuestPortMessage.size).bytes } catch {
        return error == .again
      }
      guard !packet.isEmpty else { return false }
      if let message = GuestPortMessage(decoding: packet), message.request != 0 {
        _ = try? broker.send(GuestPortMessage(request: message.request).encoded)
      }
    }
  }

  /// What the guest says there is not needed, and must not fill it.
  private func drainPort() {
    var buffer = [UInt8](repeating: 0, count: 1024)
    while buffer.withUnsafeMutableBytes({ read(port.descriptor.raw, $0.baseAddress, $0.count) }) > 0 {}
  }
}
