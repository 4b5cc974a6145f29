internal import HostSystem

/// A machine's end of its control socket at work, confined to the thread that serves it: one controller at a
/// time, of which the newest counts.
final class ControlLoop {
  private enum Token {
    static let blocked: UInt64 = 0
    static let listener: UInt64 = 1
    /// The first controller's; each has the next number.
    static let controller: UInt64 = 2
  }

  /// Milliseconds without a new controller when this process has no descriptor left for one.
  private static let rest: Int32 = 100

  private let handler: any MachineControlHandler
  private let outbox: ControlOutbox
  private let listener: Descriptor?
  private let poller: Poller
  private var controller: UnixSocket?
  private var controllerToken = Token.controller - 1
  private var controllerFor: Poller.Interest = .read
  private var listensFor: Poller.Interest = .read
  private var isResting = false
  /// Descriptors that wait for the configuration.
  private var waiting: [Descriptor] = []
  private var isConfigured = false

  init(listener: Descriptor?, outbox: ControlOutbox, handler: any MachineControlHandler) throws(Errno) {
    self.handler = handler
    self.outbox = outbox
    self.listener = listener
    poller = try Poller()
    try poller.add(outbox.blocked.descriptor.raw, .read, token: Token.blocked)
    if let listener { try poller.add(listener.raw, .read, token: Token.listener) }
  }

  /// Serves until no controller is there and none is to come.
  func run() throws(ControlError) {
    while true {
      updateWatch()
      let events: [Poller.Event]
      do { events = try poller.wait(milliseconds: isResting ? Self.rest : -1) } catch { throw .system(error) }
      isResting = false
      for event in events {
        switch event.token {
        case Token.blocked: outbox.blocked.drain()
        case Token.listener: accept()
        case controllerToken: if try !serveController() { return }
        default: continue  // of a controller that has been replaced since
        }
      }
    }
  }

  /// A controller that takes nothing is not listened to either: what it asks would have to be kept.
  private func updateWatch() {
    if let controller {
      set(&controllerFor, outbox.isBlocked ? .write : .read, controller.descriptor, controllerToken)
    }
    if let listener { set(&listensFor, isResting ? [] : .read, listener, Token.listener) }
  }

  private func set(
    _ current: inout Poller.Interest, _ wanted: Poller.Interest, _ descriptor: Descriptor, _ token: UInt64
  ) {
    guard current != wanted else { return }
    current = wanted
    try? poller.modify(descriptor.raw, wanted, token: token)
  }

  // MARK: - Controllers

  private func accept() {
    guard let listener else { return }
    do throws(Errno) {
      if let socket = try UnixSocket.accept(on: listener) { try take(socket) }
    } catch { isResting = true }
  }

  /// Serves a new controller, and no other.
  func take(_ socket: UnixSocket) throws(Errno) {
    forgetController()
    try socket.descriptor.setNonblocking(true)
    try poller.add(socket.descriptor.raw, .read, token: controllerToken + 1)
    controllerToken += 1
    controllerFor = .read
    controller = socket
    outbox.connect(socket)
  }

  private func forgetController() {
    if let controller { try? poller.remove(controller.descriptor.raw) }
    controller = nil
    waiting = []
    outbox.disconnect()
  }

  /// False when the controller is gone and there is nothing to keep for another.
  private func serveController() throws(ControlError) -> Bool {
    if outbox.isBlocked {
      outbox.flush()
      return true
    }
    if try serveRequest() { return true }
    forgetController()
    return listener != nil && isConfigured
  }

  // MARK: - Requests

  /// False when the controller is gone.
  private func serveRequest() throws(ControlError) -> Bool {
    guard let controller else { return true }
    let packet: (bytes: [UInt8], descriptors: [Descriptor])
    do throws(Errno) { packet = try controller.receive(capacity: WireFormat.maximumPacket) } catch {
      // What a controller sent before it closed its end unread is still to come, and then the end.
      if error == .again || ControlError(error) == .closed { return true }
      throw .system(error)
    }
    if packet.bytes.isEmpty { return false }
    let message: ControlMessage
    do { message = try ControlMessage(decoding: packet.bytes) } catch {
      outbox.post(.reply(id: 0, .refused(.malformed("\(error)"))))
      return true
    }
    guard case .request(let id, let request) = message else {
      outbox.post(.reply(id: 0, .refused(.malformed("not a request"))))
      return true
    }
    do {
      let (reply, descriptors) = try carryOut(request, packet.descriptors)
      outbox.post(.reply(id: id, reply), descriptors: descriptors)
    } catch {
      outbox.post(.reply(id: id, .refused(error)))
    }
    return true
  }

  private func carryOut(
    _ request: ControlRequest, _ descriptors: [Descriptor]
  ) throws(ControlFailure) -> (ControlReply, [Descriptor]) {
    switch request {
    case .descriptors:
      if waiting.count + descriptors.count > MachineConfiguration.Limits.descriptors {
        throw .malformed("more than \(MachineConfiguration.Limits.descriptors) descriptors")
      }
      waiting += descriptors
    case .configure(let configuration):
      let all = try takeAll(descriptors, "the configuration", configuration.validate(descriptorCount:))
      try handler.configure(configuration, descriptors: all)
      isConfigured = true
    case .start: try handler.start()
    case .stop: try handler.stop()
    case .kill: try handler.kill()
    case .pause: try handler.pause()
    case .resume: try handler.resume()
    case .reset: try handler.reset()
    case .resizeConsole(let columns, let rows): try handler.resizeConsole(columns: columns, rows: rows)
    case .balloon(let target): try handler.setBalloon(target: target)
    case .limitDisk(let serial, let rates): try handler.limitDisk(serial, rates)
    case .resizeDisk(let serial, let size): try handler.resizeDisk(serial, to: size)
    case .status: return (.status(try handler.status()), [])
    case .checkpoint(let checkpoint):
      let all = try takeAll(descriptors, "the checkpoint", checkpoint.validate(descriptorCount:))
      let memory = try handler.checkpoint(checkpoint, descriptors: all)
      return (checkpoint.sharesMemory ? .memory : .done, memory)
    case .attachSide(let disk, let side):
      let all = try takeAll(descriptors, "a side", side.validate(descriptorCount:))
      try handler.attach(side, to: disk, descriptors: all)
    case .revert(let reversion):
      let all = try takeAll(descriptors, "what to go back to", reversion.validate(descriptorCount:))
      try handler.revert(reversion, descriptors: all)
    case .attachConsole(let backlog):
      try handler.attachConsole(Self.socket(.stream, descriptors), backlog: backlog)
    case .attachPort(let name): try handler.attach(Self.socket(.stream, descriptors), toPort: name)
    case .attachDisk(let serial):
      try handler.attach(Self.socket(.stream, descriptors), toDisk: serial)
    case .attachBroker: try handler.attachBroker(Self.socket(.sequencedPacket, descriptors))
    }
    return (.done, [])
  }

  /// The descriptors that were handed over for a request, checked against it.
  private func takeAll(
    _ last: [Descriptor], _ what: String, _ validate: (Int) throws(ConfigurationError) -> Void
  ) throws(ControlFailure) -> [Descriptor] {
    let all = waiting + last
    waiting = []
    try ControlFailure.checking(what) { () throws(ConfigurationError) in try validate(all.count) }
    return all
  }

  /// The one socket that comes with a request.
  private static func socket(
    _ kind: UnixSocket.Kind, _ descriptors: [Descriptor]
  ) throws(ControlFailure) -> UnixSocket {
    guard descriptors.count == 1, let socket = descriptors.first.map(UnixSocket.init), socket.isOf(kind)
    else {
      throw .malformed("one \(kind == .stream ? "stream" : "packet") socket has to come with it")
    }
    return socket
  }
}

extension ControlFailure {
  fileprivate static func malformed(_ message: String) -> ControlFailure {
    ControlFailure(.malformed, phase: "reading a request", message: message)
  }
}
