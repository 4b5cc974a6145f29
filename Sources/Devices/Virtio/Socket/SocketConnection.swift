internal import HostSystem

/// A connection between a port of the guest and one of the host, from the first word to the last byte. Confined to
/// the worker's thread.
final class SocketConnection {
  enum Phase {
    /// A program of the host is about to name a port.
    case greeting
    /// The host's side is asked for; the guest waits.
    case connecting
    /// The guest is asked; the program of the host waits.
    case requested
    case open
    /// Nobody is left on the host's side; the guest has to say that it knows.
    case closing
    /// The guest is done with it; what it sent before is on its way to the host.
    case lingering
  }

  /// Packets that the guest is still to be sent, in the order of the bits. One that cannot be sent yet is a bit, so a
  /// driver that takes none makes nothing grow.
  struct Notices: OptionSet {
    let rawValue: UInt8
    static let request = Notices(rawValue: 1 << 0)
    static let response = Notices(rawValue: 1 << 1)
    static let creditUpdate = Notices(rawValue: 1 << 2)
    static let creditRequest = Notices(rawValue: 1 << 3)
    static let shutdown = Notices(rawValue: 1 << 4)
  }

  /// How events name it; no two of a session have the same.
  let token: UInt64
  var ports: SocketPorts
  var phase: Phase
  /// The host's socket, once there is one and as long as it is of use.
  var channel: HostChannel?
  var notices: Notices = []
  var greeting = SocketGreeting()
  /// Which request to the broker it waits for.
  var request: UInt32 = 0
  /// It is among those that have something for the guest.
  var isInTurn = false

  // MARK: To the host

  /// Bytes that the host's socket has not taken.
  private(set) var buffer: [UInt8] = []
  /// Bytes that came from the guest, and how many of them went on; both wrap around.
  private var received: UInt32 = 0
  private(set) var forwarded: UInt32 = 0
  /// What the guest was told of ``forwarded``.
  private var announced: UInt32 = 0
  /// What the guest said in shutdowns.
  private(set) var guestShutdown: UInt32 = 0
  /// Nothing can be written to the host any more.
  private(set) var isOutputGone = false
  /// The host was told of the guest's last byte.
  private var hasEndedOutput = false

  // MARK: To the guest

  /// The host's socket has something to read, as far as is known.
  var isReadable = false
  /// The host has sent all it will.
  var hasInputEnded = false
  private var sent: UInt32 = 0
  private var guestBufferSize: UInt32 = 0
  private var guestForwarded: UInt32 = 0
  /// The guest was asked for credit and has not said anything since.
  private var hasAskedForCredit = false

  init(token: UInt64, ports: SocketPorts, phase: Phase, channel: HostChannel? = nil) {
    self.token = token
    self.ports = ports
    self.phase = phase
    self.channel = channel
  }

  // MARK: - Credit (§5.10.6.3)

  /// Bytes that the guest may still be sent.
  var credit: Int {
    let underway = sent &- guestForwarded
    return underway < guestBufferSize ? Int(guestBufferSize - underway) : 0
  }

  /// Bytes that the guest may still send.
  var room: Int { Int(VirtioSocket.bufferSize) - buffer.count }

  /// Takes what every packet says of its sender's buffer.
  func noteCredit(_ header: SocketHeader) {
    guestBufferSize = header.bufferSize
    guestForwarded = header.forwarded
    hasAskedForCredit = false
  }

  /// Whether bytes of the host would be taken to the guest now, if there are any.
  var wantsInput: Bool { mayHaveInput && credit > 0 }

  private var mayHaveInput: Bool { phase == .open && !isInputOver }

  /// Nothing more passes from the host to the guest.
  var isInputOver: Bool { hasInputEnded || guestShutdown & SocketHeader.Shutdown.receive != 0 }

  /// Asks the guest for credit, once, when bytes wait for nothing else.
  func askForCredit() {
    guard isReadable, mayHaveInput, credit == 0, !hasAskedForCredit else { return }
    hasAskedForCredit = true
    notices.insert(.creditRequest)
  }

  /// Tells the guest of room before it runs out of it.
  private func announceRoom() {
    let left = VirtioSocket.bufferSize - min(VirtioSocket.bufferSize, received &- announced)
    if forwarded != announced, left < VirtioSocket.bufferSize / 2 { notices.insert(.creditUpdate) }
  }

  // MARK: - Packets

  /// The first packet that is due; nil when there is none but data.
  func takeNotice(from hostCID: UInt64, to guestCID: UInt64) -> SocketHeader? {
    typealias Operation = SocketHeader.Operation
    let notice = Notices(rawValue: notices.rawValue & (~notices.rawValue &+ 1))
    let operation: UInt16
    switch notice {
    case .request: operation = Operation.request
    case .response: operation = Operation.response
    case .creditUpdate: operation = Operation.creditUpdate
    case .creditRequest: operation = Operation.creditRequest
    case .shutdown: operation = Operation.shutdown
    default: return nil
    }
    notices.remove(notice)
    var header = header(operation, from: hostCID, to: guestCID)
    if notice == .shutdown {
      header.flags =
        (hasInputEnded ? SocketHeader.Shutdown.send : 0) | (isOutputGone ? SocketHeader.Shutdown.receive : 0)
    }
    return header
  }

  /// A packet of data that were read for the guest.
  func data(_ count: Int, from hostCID: UInt64, to guestCID: UInt64) -> SocketHeader {
    sent &+= UInt32(count)
    var header = header(SocketHeader.Operation.readWrite, from: hostCID, to: guestCID)
    header.count = UInt32(count)
    return header
  }

  private func header(_ operation: UInt16, from hostCID: UInt64, to guestCID: UInt64) -> SocketHeader {
    var header = SocketHeader(from: hostCID, to: guestCID, ports, operation)
    header.bufferSize = VirtioSocket.bufferSize
    header.forwarded = forwarded
    announced = forwarded
    notices.remove(.creditUpdate)
    return header
  }

  // MARK: - Bytes for the host

  /// Takes `count` bytes that the guest sent, for which there must be ``room``.
  func take(_ reader: inout ChainReader, _ count: Int) {
    received &+= UInt32(count)
    var left = count
    while buffer.isEmpty, left > 0, let channel, !isOutputGone {
      let outcome = reader.withBuffers(left) { channel.write($0) }
      if outcome == .wouldBlock { break }
      guard case .transferred(let written) = outcome else {
        loseOutput()
        break
      }
      reader.skip(written)
      left -= written
      forwarded &+= UInt32(written)
    }
    if isOutputGone {
      forwarded &+= UInt32(left)
    } else if left > 0 {
      let start = buffer.count
      buffer += [UInt8](repeating: 0, count: left)
      buffer.withUnsafeMutableBytes {
        _ = reader.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
      }
    }
    announceRoom()
  }

  /// Passes on what waits, as far as the host's socket takes it.
  func flush() {
    while !buffer.isEmpty, let channel {
      let outcome = buffer.withUnsafeBytes { channel.write([$0]) }
      if outcome == .wouldBlock { break }
      guard case .transferred(let written) = outcome else { return loseOutput() }
      buffer.removeFirst(written)
      forwarded &+= UInt32(written)
    }
    announceRoom()
    endOutputIfDone()
  }

  /// Nobody takes bytes on the host's side any more: what waits for it goes nowhere.
  func loseOutput() {
    guard !isOutputGone else { return }
    isOutputGone = true
    forwarded &+= UInt32(buffer.count)
    buffer = []
    notices.insert(.shutdown)
  }

  /// The host has sent all it will.
  func endInput() {
    guard !hasInputEnded else { return }
    hasInputEnded = true
    isReadable = false
    notices.insert(.shutdown)
  }

  /// Takes the guest's word that it will send or receive no more.
  func noteShutdown(_ flags: UInt32) {
    let new = flags & SocketHeader.Shutdown.both & ~guestShutdown
    guestShutdown |= new
    if new & SocketHeader.Shutdown.receive != 0 { channel?.endReading() }
    if new & SocketHeader.Shutdown.send != 0 { endOutputIfDone() }
  }

  /// Tells the host of the guest's last byte, behind it.
  private func endOutputIfDone() {
    guard guestShutdown & SocketHeader.Shutdown.send != 0, buffer.isEmpty, !hasEndedOutput else { return }
    hasEndedOutput = true
    channel?.endWriting()
  }
}
