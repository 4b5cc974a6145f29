package import HostSystem
internal import Synchronization

/// The machine's end of its control socket: decodes requests, has a ``MachineControlHandler`` carry
/// them out, sends replies and events.
package final class ControlServer: Sendable {
  package let socket: UnixSocket
  /// Keeps packets of several threads whole and in order.
  private let sending = Mutex(())
  /// Descriptors that wait for the configuration.
  private let waiting = Mutex<[Descriptor]>([])

  /// `socket` is of the kind `.sequencedPacket`.
  package init(_ socket: UnixSocket) { self.socket = socket }

  /// Serves requests until the controller closes its end, which is when the machine has to end.
  package func serve(_ handler: any MachineControlHandler) throws(ControlError) {
    while try serveOne(handler) {}
  }

  /// Waits for one request and carries it out. False when the controller is gone. For those who poll
  /// ``socket`` themselves.
  package func serveOne(_ handler: any MachineControlHandler) throws(ControlError) -> Bool {
    let packet: (bytes: [UInt8], descriptors: [Descriptor])
    do { packet = try socket.receive(capacity: WireFormat.maximumPacket) } catch {
      let failure = ControlError(error)
      if failure == .closed { return false }
      throw failure
    }
    if packet.bytes.isEmpty { return false }
    let message: ControlMessage
    do { message = try ControlMessage(decoding: packet.bytes) } catch {
      return send(.reply(id: 0, .refused(.malformed("\(error)"))))
    }
    guard case .request(let id, let request) = message else {
      return send(.reply(id: 0, .refused(.malformed("not a request"))))
    }
    do {
      return send(.reply(id: id, try carryOut(request, packet.descriptors, handler)))
    } catch {
      return send(.reply(id: id, .refused(error)))
    }
  }

  /// Tells the controller. Callable from any thread. What is only for the person to read is dropped rather
  /// than waited with, so that a controller that sleeps does not hold up the guest.
  package func send(_ event: ControlEvent) {
    switch event {
    case .warning, .diskFailed: _ = send(.event(event), onlyIfRoom: true)
    default: _ = send(.event(event))
    }
  }

  private func carryOut(
    _ request: ControlRequest, _ descriptors: [Descriptor], _ handler: any MachineControlHandler
  ) throws(ControlFailure) -> ControlReply {
    switch request {
    case .descriptors:
      let fits = waiting.withLock { waiting in
        if waiting.count + descriptors.count > MachineConfiguration.Limits.descriptors { return false }
        waiting += descriptors
        return true
      }
      if !fits { throw .malformed("more than \(MachineConfiguration.Limits.descriptors) descriptors") }
    case .configure(let configuration):
      let all = waiting.withLock { waiting in
        defer { waiting = [] }
        return waiting + descriptors
      }
      do { try configuration.validate(descriptorCount: all.count) } catch {
        throw ControlFailure(.invalidConfiguration, phase: "checking the configuration", message: "\(error)")
      }
      try handler.configure(configuration, descriptors: all)
    case .start: try handler.start()
    case .stop: try handler.stop()
    case .kill: try handler.kill()
    case .pause: try handler.pause()
    case .resume: try handler.resume()
    case .reset: try handler.reset()
    case .resizeConsole(let columns, let rows): try handler.resizeConsole(columns: columns, rows: rows)
    case .balloon(let target): try handler.setBalloon(target: target)
    case .status: return .status(try handler.status())
    }
    return .done
  }

  /// False when the controller is gone.
  private func send(_ message: ControlMessage, onlyIfRoom: Bool = false) -> Bool {
    let bytes = message.encoded()
    return sending.withLock { _ in
      do {
        if onlyIfRoom, try !socket.waitUntilWritable(milliseconds: 0) { return true }
        try socket.send(bytes)
        return true
      } catch {
        return false
      }
    }
  }
}

extension ControlFailure {
  fileprivate static func malformed(_ message: String) -> ControlFailure {
    ControlFailure(.malformed, phase: "reading a request", message: message)
  }
}
