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

  /// A request, and who waits for its answer.
  private struct Order {
    let request: ControlRequest
    let descriptors: [Descriptor]
    let answer: @Sendable (Result<ControlReply, ControlError>) -> Void
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

  /// Takes over the connection to a machine that was started.
  package convenience init(
    _ machine: StartedMachine, onEvent: @escaping @Sendable (Event) -> Void
  ) throws(Errno) {
    try self.init(machine.control, port: machine.port, onEvent: onEvent)
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
    do throws(Errno) { (ours, theirs) = try UnixSocket.pair(.stream) } catch { throw .system(error) }
    try control.call(.attachPort(name: GuestPort.control), descriptors: [theirs.descriptor])
    do throws(Errno) { try self.init(control, port: ours, onEvent: onEvent) } catch { throw .system(error) }
  }

  private init(
    _ control: ControlClient, port: UnixSocket, onEvent: @escaping @Sendable (Event) -> Void
  ) throws(Errno) {
    self.port = port
    wake = try EventCounter()
    try port.descriptor.setNonblocking(true)
    // The client is for one thread, which is this one from here on.
    nonisolated(unsafe) let control = control
    _ = try Thread.start(name: "machine-link", stackSize: 128 << 10) { self.serve(control, onEvent) }
  }

  /// Asks the machine, and waits for its answer.
  @discardableResult
  package func call(_ request: ControlRequest, descriptors: [Descriptor] = []) async throws -> ControlReply {
    try await withCheckedThrowingContinuation { continuation in
      let order = Order(request: request, descriptors: descriptors) { continuation.resume(with: $0) }
      let isClosed = state.withLock { state in
        if !state.isClosed { state.orders.append(order) }
        return state.isClosed
      }
      if isClosed { order.answer(.failure(.closed)) } else { wake.signal() }
    }
  }

  /// Joins the machine's console: a stream both ways, which begins with up to `backlog` bytes of what there was.
  package func attachConsole(backlog: UInt32) async throws -> UnixSocket {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    try await call(.attachConsole(backlog: backlog), descriptors: [theirs.descriptor])
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
    while isOpen, !state.withLock({ $0.isCut }) {
      wake.drain()
      let orders = state.withLock { state in
        defer { state.orders = [] }
        return state.orders
      }
      for order in orders {
        do throws(ControlError) {
          order.answer(.success(try control.call(order.request, descriptors: order.descriptors)))
        } catch {
          order.answer(.failure(error))
          if error == .closed { isOpen = false }
        }
      }
      do throws(ControlError) {
        while let event = try control.nextEvent() { onEvent(.machine(event)) }
      } catch { isOpen = false }
      drainPort()
      guard isOpen else { break }
      var entries = [
        pollfd(fd: control.socket.descriptor.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wake.descriptor.raw, events: Int16(POLLIN), revents: 0),
      ]
      poll(&entries, 2, -1)
    }
    let orders = state.withLock { state in
      state.isClosed = true
      defer { state.orders = [] }
      return state.orders
    }
    for order in orders { order.answer(.failure(.closed)) }
    onEvent(.closed)
  }

  /// What the guest says there is not needed, and must not fill it.
  private func drainPort() {
    var buffer = [UInt8](repeating: 0, count: 1024)
    while buffer.withUnsafeMutableBytes({ read(port.descriptor.raw, $0.baseAddress, $0.count) }) > 0 {}
  }
}
