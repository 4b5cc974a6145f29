internal import DiskImages
internal import Glibc
internal import HostSystem
internal import MachineControl
internal import Synchronization

/// Where a disk on a server gets its connections from: this process opens none, so its owner is asked for each.
///
/// One socket is asked for at a time, and once: an owner that is gone meanwhile leaves the question to the next, who
/// finds it in the status.
final class DiskServer: Sendable {
  /// Nanoseconds that the disk's own thread waits here; whoever waits for the disk does so elsewhere, and longer.
  private static let patience: Int64 = 5_000_000_000

  /// Milliseconds that a request may take instead of the usual two minutes, as `VOLARY_NBD_PATIENCE` has it for tests.
  private static var testedPatience: UInt64? {
    getenv("VOLARY_NBD_PATIENCE").flatMap { UInt64(String(cString: $0)) }.map { min($0, 600_000) }
  }

  private struct State {
    /// Nil when nothing was asked for; who asks waits for this.
    var arrival: Completion?
    var socket: Descriptor?
    var isLost = false
    var reason = ""
  }

  private let serial: String
  private let send: @Sendable (ControlEvent) -> Void
  private let state = Mutex(State())

  /// `send` tells the machine's owner.
  init(_ serial: String, _ send: @escaping @Sendable (ControlEvent) -> Void) {
    self.serial = serial
    self.send = send
  }

  /// Whether requests wait for a connection.
  var isLost: Bool { state.withLock(\.isLost) }

  /// Takes a connection, if one was asked for.
  func attach(_ socket: Descriptor) {
    let arrival = state.withLock { state in
      defer { state.arrival = nil }
      if state.arrival != nil { state.socket = socket }
      return state.arrival
    }
    arrival?.complete()
  }

  /// Waits for the next connection, for a moment.
  func next() throws(Errno) -> Descriptor {
    let (arrival, question) = state.withLock { state -> (Completion, String?) in
      if let arrival = state.arrival { return (arrival, nil) }
      let arrival = Completion()
      // One that came after the last who waited had gone.
      if state.socket != nil { arrival.complete() } else { state.arrival = arrival }
      return (arrival, state.socket == nil ? state.reason : nil)
    }
    if let question { send(.diskLost(disk: serial, reason: question)) }
    guard arrival.wait(nanoseconds: Self.patience), let socket = state.withLock({ $0.socket.take() }) else {
      throw .timedOut
    }
    return socket
  }

  func note(_ change: NBDImage.Change) {
    switch change {
    case .lost(let reason):
      state.withLock { ($0.isLost, $0.reason) = (true, reason) }
    case .returned:
      state.withLock { $0.isLost = false }
      send(.diskReturned(disk: serial))
    }
  }

  /// Opens the disk over its first connection. Threads are started for it.
  func open(
    _ server: MachineConfiguration.Disk.Server, _ socket: Descriptor, readOnly: Bool
  ) throws(DiskImageError) -> NBDImage {
    guard UnixSocket(socket).isOf(.stream) else {
      throw .server(name: server.name, reason: "what was handed over is no connection")
    }
    var limits = NBDLimits()
    // Whoever has the machine made waits for its answer.
    limits.handshake = 10_000
    if let patience = Self.testedPatience { limits.request = patience }
    return try NBDImage(
      socket: socket, export: server.export, name: server.name, readOnly: readOnly, limits: limits,
      reconnect: { () throws(Errno) in try self.next() }, onChange: { self.note($0) })
  }
}
