internal import Glibc
internal import HostSystem

/// A port at work: its two queues and the socket between which bytes flow. Confined to the worker's
/// thread.
final class ConsolePort {
  /// What the driver is still to be told of the port, in the order of the bits. A message that cannot
  /// be sent yet is a bit, so a driver that reads none makes nothing grow.
  struct Notices: OptionSet {
    let rawValue: UInt8
    static let add = Notices(rawValue: 1 << 0)
    static let console = Notices(rawValue: 1 << 1)
    static let name = Notices(rawValue: 1 << 2)
    static let resize = Notices(rawValue: 1 << 3)
    static let close = Notices(rawValue: 1 << 4)
    static let open = Notices(rawValue: 1 << 5)
  }

  /// Chains that a port may move before others have their turn.
  private static let turn = 64
  /// How often in a row a socket is waited for that takes nothing, and for how many milliseconds.
  private static let mostWaits = 300
  private static let wait: Int32 = 100

  let index: Int
  private let context: SessionContext
  private let receiveQueue: LiveQueue?
  private let transmitQueue: LiveQueue?
  private(set) var attachment: ConsoleAttachment?
  var notices: Notices = []
  /// The driver knows the port and is ready for messages about it.
  private(set) var isReady = false
  /// A guest program, or the guest's console, has the port open.
  private var isGuestOpen = false
  /// The guest closed the port; the host is to learn that behind the last byte.
  private var isGuestClosing = false
  /// The driver has buffers for what the host sends, as far as is known.
  private var hasBuffers = false
  /// A request whose bytes the socket has not all taken.
  private var held: Chain?
  /// Bytes, since ``drain(isAbandoned:)`` looked last.
  private var sent = 0

  init(index: Int, receiveQueue: LiveQueue?, transmitQueue: LiveQueue?, context: SessionContext) {
    self.index = index
    self.receiveQueue = receiveQueue
    self.transmitQueue = transmitQueue
    self.context = context
  }

  /// What is known of the port beside its socket.
  var state: VirtioConsole.PortState {
    var state = VirtioConsole.PortState()
    state.isReady = isReady
    state.isGuestOpen = isGuestOpen
    state.notices = notices.rawValue
    return state
  }

  /// Goes on from a state of another session's. The socket is another than it was.
  func resume(_ state: VirtioConsole.PortState) {
    isReady = state.isReady
    isGuestOpen = state.isGuestOpen
    notices = Notices(rawValue: state.notices & 0x3F)
  }

  // MARK: - Opening and closing

  /// Takes the host's socket, if it is another than before.
  func attach(_ new: ConsoleAttachment?) throws(QueueError) {
    guard new !== attachment else { return }
    if let old = attachment {
      context.watch(old.channel.descriptor, for: [], token: UInt64(index))
      // What is left of a request that went to the old socket in part makes no sense to the new one.
      if let chain = held.take() { transmitQueue?.complete(chain, written: 0) }
    }
    attachment = new
    if isReady, new?.hasInputEnded == false { notices.insert(.open) }
    try transmit()
    try receive()
  }

  /// The driver knows the port: it is to learn what the port is.
  func becomeReady(isConsole: Bool, hasName: Bool, hasSize: Bool) {
    isReady = true
    if isConsole { notices.insert(.console) }
    if hasName { notices.insert(.name) }
    if isConsole && hasSize { notices.insert(.resize) }
    if let attachment, !attachment.hasInputEnded { notices.insert(.open) }
  }

  func guestOpened() throws(QueueError) {
    isGuestOpen = true
    isGuestClosing = false
    try receive()
  }

  func guestClosed() throws(QueueError) {
    guard isGuestOpen else { return }
    isGuestOpen = false
    isGuestClosing = true
    try transmit()
    updateWatch()
  }

  // MARK: - Bytes

  func buffersAdded() throws(QueueError) {
    hasBuffers = true
    try receive()
  }

  /// Moves what the socket has into the driver's buffers, as far as both go.
  func receive() throws(QueueError) {
    defer { updateWatch() }
    guard let queue = receiveQueue, let attachment, canReceive else { return }
    defer { context.signal(queue) }
    queue.suppressNotifications()
    for _ in 0..<Self.turn {
      let mark = queue.mark
      guard var chain = try queue.next() else {
        if queue.allowNotifications() { continue }
        hasBuffers = false
        return
      }
      if chain.writer.remaining == 0 {
        queue.complete(chain, written: 0)
        continue
      }
      var outcome = HostChannel.Outcome.wouldBlock
      let count = chain.writer.withBuffers { buffers in
        outcome = attachment.channel.read(into: buffers)
        if case .transferred(let count) = outcome { return count }
        return 0
      }
      guard count > 0 else {
        queue.rewind(to: mark)
        if outcome != .wouldBlock { endInput(attachment) }
        return
      }
      queue.complete(chain, written: count)
    }
  }

  private var canReceive: Bool { isGuestOpen && hasBuffers && attachment?.hasInputEnded == false }

  private func endInput(_ attachment: ConsoleAttachment) {
    attachment.hasInputEnded = true
    // The bytes before it are in the used ring already, where the driver finds them first.
    notices.insert(.close)
    notices.remove(.open)
  }

  /// Moves what the guest wrote into the socket, as far as that takes it.
  func transmit() throws(QueueError) {
    defer { updateWatch() }
    guard let queue = transmitQueue else { return }
    defer { context.signal(queue) }
    var count = 0
    repeat {
      queue.suppressNotifications()
      while var chain = try takeHeld(or: queue) {
        guard send(&chain.reader) else { return held = consume chain }
        queue.complete(chain, written: 0)
        count += 1
        if count == Self.turn || context.isWanted { return context.reschedule(queue) }
      }
    } while queue.allowNotifications()
    if isGuestClosing, let attachment {
      isGuestClosing = false
      attachment.hasOutputEnded = true
      attachment.channel.endWriting()
    }
  }

  /// Sends what there is, for as long as the socket takes some of it now and then.
  func drain(isAbandoned: () -> Bool) {
    guard let queue = transmitQueue, let attachment else { return }
    var waits = 0
    while waits < Self.mostWaits, !isAbandoned() {
      sent = 0
      do throws(QueueError) { try transmit() } catch { return }
      guard !attachment.hasOutputEnded, held != nil || queue.hasMore else { return }
      if sent > 0 { waits = 0 }
      if held == nil { continue }
      waits += 1
      var entry = pollfd(fd: attachment.channel.descriptor.raw, events: Int16(POLLOUT), revents: 0)
      poll(&entry, 1, Self.wait)
    }
  }

  private func takeHeld(or queue: LiveQueue) throws(QueueError) -> Chain? {
    if let chain = held.take() { return chain }
    return try queue.next()
  }

  /// Sends a request's bytes, or what is left of them. False when some stay for later.
  private func send(_ reader: inout ChainReader) -> Bool {
    guard let attachment else { return false }
    while reader.remaining > 0, !attachment.hasOutputEnded {
      let outcome = reader.withBuffers { attachment.channel.write($0) }
      switch outcome {
      case .transferred(let count):
        reader.skip(count)
        sent += count
      case .wouldBlock: return false
      case .closed, .failed: attachment.hasOutputEnded = true  // Nobody reads: the rest goes nowhere.
      }
    }
    return true
  }

  /// Watches the socket for what could go on, and for nothing else: a closed one is always "ready".
  private func updateWatch() {
    guard let attachment else { return }
    var interest: Poller.Interest = []
    if canReceive { interest.insert(.read) }
    if held != nil { interest.insert(.write) }
    context.watch(attachment.channel.descriptor, for: interest, token: UInt64(index))
  }
}
