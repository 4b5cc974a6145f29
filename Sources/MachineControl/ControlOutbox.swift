internal import HostSystem
internal import Synchronization

/// What the controller is to be sent and has no room for yet, or what waits for the next controller. Nobody
/// who posts something ever waits.
///
/// Replies are for the controller that asked, and go with it. Events are kept until somebody takes them, as
/// far as their bounds go.
final class ControlOutbox: Sendable {
  /// Events that wait at most; beyond, the oldest go.
  private static let mostEvents = 64
  /// As many of those may be for a person to read.
  private static let mostNotes = 16

  private enum Packet {
    case reply(ControlMessage, [Descriptor])
    case event(ControlEvent)

    var message: ControlMessage {
      switch self {
      case .reply(let message, _): message
      case .event(let event): .event(event)
      }
    }

    var descriptors: [Descriptor] { if case .reply(_, let descriptors) = self { descriptors } else { [] } }
    var isReply: Bool { if case .reply = self { true } else { false } }
    var isNote: Bool { if case .event(let event) = self { event.isNote } else { false } }
  }

  private struct State {
    /// Nil while nobody is there, or nobody who takes anything.
    var socket: UnixSocket?
    var packets: [Packet] = []

    var isBlocked: Bool { socket != nil && !packets.isEmpty }

    /// Sends as much as there is room for.
    mutating func flush() {
      while let socket, let packet = packets.first {
        do throws(Errno) {
          try socket.send(packet.message.encoded(), descriptors: packet.descriptors)
          packets.removeFirst()
        } catch {
          if error == .again { return }
          // Should it be there after all, it sees an end, and we its closing.
          socket.finishSending()
          disconnect()
        }
      }
    }

    mutating func disconnect() {
      socket = nil
      packets.removeAll(where: \.isReply)
    }

    mutating func add(_ event: ControlEvent) {
      packets.append(.event(event))
      keep(ControlOutbox.mostNotes) { $0.isNote }
      keep(ControlOutbox.mostEvents) { !$0.isReply }
    }

    /// Removes the oldest packet of a kind, if there are too many.
    private mutating func keep(_ most: Int, of isMeant: (Packet) -> Bool) {
      guard packets.count > most, packets.count(where: isMeant) > most,
        let oldest = packets.firstIndex(where: isMeant)
      else { return }
      packets.remove(at: oldest)
    }
  }

  /// Signalled when something has to wait for room.
  let blocked: EventCounter
  private let state = Mutex(State())

  init() throws(Errno) { blocked = try EventCounter() }

  /// Sends to another controller from now on, whose socket is nonblocking: first what waits.
  func connect(_ socket: UnixSocket) {
    state.withLock {
      $0.disconnect()
      $0.socket = socket
      $0.flush()
    }
  }

  /// The controller is gone.
  func disconnect() { state.withLock { $0.disconnect() } }

  /// Sends what there is room for now.
  func flush() { state.withLock { $0.flush() } }

  /// Whether something waits for room in the controller's socket.
  var isBlocked: Bool { state.withLock { $0.isBlocked } }

  /// Sends a reply to the present controller.
  func post(_ reply: ControlMessage, descriptors: [Descriptor] = []) {
    post { if $0.socket != nil { $0.packets.append(.reply(reply, descriptors)) } }
  }

  /// Sends an event to the controller, or keeps it for the next.
  func post(_ event: ControlEvent) { post { $0.add(event) } }

  private func post(_ add: (inout State) -> Void) {
    let isBlocked = state.withLock { state in
      add(&state)
      state.flush()
      return state.isBlocked
    }
    if isBlocked { blocked.signal() }
  }

  /// Waits up to `milliseconds` until the controller has been sent everything. With nobody there, not at all.
  func drain(milliseconds: Int32) {
    let deadline = monotonicNanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
    while true {
      let socket = state.withLock { state in
        state.flush()
        return state.isBlocked ? state.socket : nil
      }
      let now = monotonicNanoseconds()
      guard let socket, now < deadline else { return }
      let left = Int32(clamping: (deadline - now) / 1_000_000 + 1)
      guard (try? socket.waitUntilWritable(milliseconds: left)) == true else { return }
    }
  }
}

extension ControlEvent {
  /// Whether it is for a person to read, and changes nothing for a program.
  fileprivate var isNote: Bool {
    switch self {
    case .warning, .diskFailed: true
    default: false
    }
  }
}
