package import HostSystem

/// The controller's end of a machine's control socket. For one thread.
///
/// The machine's process may be in the hands of its guest: whatever it sends is checked and bounded,
/// and descriptors that it sends unasked are closed.
package final class ControlClient {
  /// Events kept while a reply is awaited.
  private static let mostEvents = 1024

  package let socket: UnixSocket
  private var lastID: UInt32 = 0
  private var events: [ControlEvent] = []

  /// `socket` is of the kind `.sequencedPacket`.
  package init(_ socket: UnixSocket) { self.socket = socket }

  /// Connects to a machine that listens at `path`, and takes the place of the controller that it may have.
  /// ``ControlError/closed`` when no machine is there any more.
  package convenience init(connectingTo path: String) throws(ControlError) {
    do throws(Errno) { self.init(try UnixSocket.connect(toPath: path, .sequencedPacket)) } catch {
      throw error == .notFound || error == Errno(111 /* ECONNREFUSED */) ? .closed : ControlError(error)
    }
  }

  /// Checks the configuration and hands it over with its descriptors.
  package func configure(
    _ configuration: MachineConfiguration, descriptors: [Descriptor], milliseconds: Int32 = 10_000
  ) throws(ControlError) {
    try handOver(
      descriptors, "the configuration", configuration.validate(descriptorCount:), milliseconds: milliseconds)
    try call(.configure(configuration), milliseconds: milliseconds)
  }

  /// Hands over the descriptors of what is asked for next, which is checked against them.
  private func handOver(
    _ descriptors: [Descriptor], _ what: String, _ validate: (Int) throws(ConfigurationError) -> Void,
    milliseconds: Int32
  ) throws(ControlError) {
    do throws(ControlFailure) {
      try ControlFailure.checking(what) { () throws(ConfigurationError) in try validate(descriptors.count) }
    } catch { throw .refused(error) }
    var rest = descriptors[...]
    while !rest.isEmpty {
      let batch = Array(rest.prefix(UnixSocket.mostDescriptors))
      rest = rest.dropFirst(batch.count)
      try call(.descriptors, descriptors: batch, milliseconds: milliseconds)
    }
  }

  /// Has a moment of the machine kept. Returns the files of the guest's memory, if they were asked for.
  @discardableResult
  package func checkpoint(
    _ checkpoint: Checkpoint, descriptors: [Descriptor], milliseconds: Int32 = 10_000
  ) throws(ControlError) -> [Descriptor] {
    try handOver(
      descriptors, "the checkpoint", checkpoint.validate(descriptorCount:), milliseconds: milliseconds)
    return try exchange(.checkpoint(checkpoint), milliseconds: milliseconds).descriptors
  }

  /// Gives a mirrored disk the side that it lacks.
  package func attach(
    _ side: MachineConfiguration.Disk.Side, to disk: String, descriptors: [Descriptor],
    milliseconds: Int32 = 10_000
  ) throws(ControlError) {
    try handOver(descriptors, "a side", side.validate(descriptorCount:), milliseconds: milliseconds)
    try call(.attachSide(disk, side), milliseconds: milliseconds)
  }

  /// Has the machine go on from what was kept.
  package func revert(
    _ reversion: Reversion, descriptors: [Descriptor], milliseconds: Int32 = 10_000
  ) throws(ControlError) {
    try handOver(
      descriptors, "what to go back to", reversion.validate(descriptorCount:), milliseconds: milliseconds)
    try call(.revert(reversion), milliseconds: milliseconds)
  }

  /// Sends a request and waits up to `milliseconds` for its reply. A refusal is thrown.
  @discardableResult
  package func call(
    _ request: ControlRequest, descriptors: [Descriptor] = [], milliseconds: Int32 = 10_000
  ) throws(ControlError) -> ControlReply {
    try exchange(request, descriptors: descriptors, milliseconds: milliseconds).reply
  }

  private func exchange(
    _ request: ControlRequest, descriptors: [Descriptor] = [], milliseconds: Int32
  ) throws(ControlError) -> (reply: ControlReply, descriptors: [Descriptor]) {
    lastID &+= 1
    try send(.request(id: lastID, request), descriptors: descriptors, milliseconds: milliseconds)
    let deadline = monotonicNanoseconds() &+ UInt64(max(0, milliseconds)) * 1_000_000
    while true {
      let now = monotonicNanoseconds()
      let left = now < deadline ? Int32((deadline - now) / 1_000_000) + 1 : 0
      guard let (message, came) = try receive(milliseconds: left) else { throw .timedOut }
      switch message {
      case .event(let event):
        if events.count == Self.mostEvents { throw .misbehaved }
        events.append(event)
      case .reply(lastID, .refused(let failure)): throw .refused(failure)
      case .reply(lastID, let reply): return (reply, came)
      case .reply(let id, _) where id < lastID: continue  // to a call that was given up
      default: throw .misbehaved
      }
    }
  }

  /// Sends a request whose reply nobody waits for.
  package func post(_ request: ControlRequest) throws(ControlError) {
    lastID &+= 1
    try send(.request(id: lastID, request), milliseconds: 10_000)
  }

  /// Joins the serial console. Returns a stream of what the guest writes, which begins with up to `backlog` bytes of
  /// what it wrote last, and into which is written what the guest is to read.
  package func attachConsole(backlog: UInt32 = 0, milliseconds: Int32 = 10_000) throws(ControlError)
    -> UnixSocket
  {
    let ours: UnixSocket
    let theirs: UnixSocket
    do throws(Errno) { (ours, theirs) = try UnixSocket.pair(.stream) } catch { throw .system(error) }
    try call(.attachConsole(backlog: backlog), descriptors: [theirs.descriptor], milliseconds: milliseconds)
    return ours
  }

  /// The next event that has come, waiting up to `milliseconds` for one; nil when none has. Ask until
  /// nil before waiting on the socket: events may have come together with a reply.
  package func nextEvent(milliseconds: Int32 = 0) throws(ControlError) -> ControlEvent? {
    if !events.isEmpty { return events.removeFirst() }
    while let (message, _) = try receive(milliseconds: milliseconds) {
      switch message {
      case .event(let event): return event
      case .reply(let id, _) where id <= lastID: continue  // to a posted request
      default: throw .misbehaved
      }
    }
    return nil
  }

  /// A nonblocking socket is waited with for up to `milliseconds`.
  private func send(
    _ message: ControlMessage, descriptors: [Descriptor] = [], milliseconds: Int32
  ) throws(ControlError) {
    let bytes = message.encoded()
    while true {
      do throws(Errno) {
        try socket.send(bytes, descriptors: descriptors)
        return
      } catch {
        guard error == .again else { throw ControlError(error) }
      }
      do throws(Errno) {
        if try socket.waitUntilWritable(milliseconds: milliseconds) { continue }
      } catch { throw ControlError(error) }
      throw .timedOut
    }
  }

  /// The next message, or nil when none came in time.
  private func receive(
    milliseconds: Int32
  ) throws(ControlError) -> (message: ControlMessage, descriptors: [Descriptor])? {
    let packet: (bytes: [UInt8], descriptors: [Descriptor])
    do throws(Errno) {
      guard try socket.waitUntilReadable(milliseconds: milliseconds) else { return nil }
      packet = try socket.receive(capacity: WireFormat.maximumPacket)
    } catch {
      if error == .again { return nil }
      throw ControlError(error)
    }
    if packet.bytes.isEmpty { throw .closed }
    do { return (try ControlMessage(decoding: packet.bytes), packet.descriptors) } catch {
      throw .malformed(error)
    }
  }
}
