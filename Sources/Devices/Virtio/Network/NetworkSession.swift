internal import HostSystem

/// A network card at work: frames both ways, and a control queue.
final class NetworkSession: VirtioSession {
  /// The smallest and the largest frame: a header, and with 64 KiB of payload and a VLAN tag.
  private static let frameSizes = 14...(18 + 65_536)
  /// Frames a queue may move before the other has its turn.
  private static let turn = 256

  private let device: VirtioNet
  private let context: SessionContext
  /// A header, and after it a frame, on its way in.
  private let incoming: UnsafeMutableRawBufferPointer
  /// Bytes of the frame in ``incoming`` that waits for the driver's buffers.
  private var waiting: Int?
  /// A frame on its way out, where it must be changed first.
  private let outgoing: UnsafeMutableRawBufferPointer
  /// A request whose frame the host could not take yet.
  private var held: Chain?
  private var hasReceiveBuffers = false
  private var isPeerGone = false
  private var hasHeaders: Bool { device.tap != nil }

  init(device: VirtioNet, context: SessionContext) {
    self.device = device
    self.context = context
    incoming = .allocate(byteCount: NetworkHeader.size + Self.frameSizes.upperBound, alignment: 16)
    outgoing = .allocate(byteCount: Self.frameSizes.upperBound, alignment: 16)
  }

  deinit {
    incoming.deallocate()
    outgoing.deallocate()
  }

  func process(queue index: Int) throws(QueueError) {
    guard let queue = context.queue(index) else { return }
    switch index {
    case VirtioNet.QueueIndex.receive:
      hasReceiveBuffers = true
      try receive(queue)
    case VirtioNet.QueueIndex.transmit: try transmit(queue)
    default: try NetworkControl.answer(queue, context)
    }
    updateWatch()
  }

  func ready(token: UInt64) throws(QueueError) {
    if held != nil, let queue = context.queue(VirtioNet.QueueIndex.transmit) { try transmit(queue) }
    if hasReceiveBuffers, let queue = context.queue(VirtioNet.QueueIndex.receive) { try receive(queue) }
    updateWatch()
  }

  /// Watches the port for what could go on: frames while there is room for them, room while a frame
  /// waits. A port without a peer is always "ready", so it is left alone.
  private func updateWatch() {
    var interest: Poller.Interest = []
    if !isPeerGone {
      if hasReceiveBuffers { interest.insert(.read) }
      if held != nil { interest.insert(.write) }
    }
    context.watch(device.channel.descriptor, for: interest, token: 0)
  }

  private func losePeer() {
    guard !isPeerGone else { return }
    isPeerGone = true
    device.isLinkUp = false
    // What the port could not take is dropped now; nothing else would bring it up again.
    if let queue = context.queue(VirtioNet.QueueIndex.transmit) { context.reschedule(queue) }
  }

  // MARK: - To the driver

  private func receive(_ queue: LiveQueue) throws(QueueError) {
    defer { context.signal(queue) }
    queue.suppressNotifications()
    for _ in 0..<Self.turn {
      guard let count = waiting ?? readFrame() else { return }
      waiting = count
      while !(try deliver(count, to: queue)) {
        guard queue.allowNotifications() else {
          hasReceiveBuffers = false
          return
        }
        queue.suppressNotifications()
      }
      waiting = nil
    }
    // More may wait in the port, which then is ready again at once.
  }

  /// Reads a frame behind its header, and returns how many bytes both are; nil when there is none.
  private func readFrame() -> Int? {
    // What has a header of its own brings it along.
    let headerSize = hasHeaders ? NetworkHeader.size : 0
    let room = UnsafeMutableRawBufferPointer(rebasing: incoming[(NetworkHeader.size - headerSize)...])
    while !isPeerGone {
      switch device.channel.read(into: [room]) {
      case .transferred(let count) where Self.frameSizes.contains(count - headerSize):
        if hasHeaders { return count }
        let frame = UnsafeRawBufferPointer(rebasing: room[..<count])
        let isValid =
          context.features.contains(.networkGuestChecksum) && InternetChecksum.isValid(frame)
        UnsafeMutableRawBufferPointer(rebasing: incoming[..<NetworkHeader.size])
          .initializeMemory(as: UInt8.self, repeating: 0)
        incoming[0] = isValid ? NetworkHeader.dataValid : 0
        return NetworkHeader.size + count
      case .transferred(0) where !device.channel.hasEmptyMessages: losePeer()
      case .transferred: continue  // Too short for a frame.
      case .wouldBlock: return nil
      case .closed, .failed: losePeer()
      }
    }
    return nil
  }

  /// Puts the frame into as many buffers as it takes and may take. False when there are too few; then
  /// none is used.
  private func deliver(_ count: Int, to queue: LiveQueue) throws(QueueError) -> Bool {
    let mark = queue.mark
    var rest = UnsafeRawBufferPointer(rebasing: incoming[..<count])
    var first: ChainWriter?
    var used: UInt16 = 0
    while !rest.isEmpty {
      guard var chain = try queue.next() else {
        queue.rewind(to: mark)
        // A whole ring that cannot hold the frame never will: drop it.
        return Int(used) == queue.size
      }
      if first == nil {
        guard chain.writer.remaining >= NetworkHeader.size else { throw .bufferTooSmall }
        first = chain.writer
      }
      let written = chain.writer.write(rest)
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
      queue.complete(chain, written: written)
      used += 1
      if !rest.isEmpty, !context.features.contains(.networkMergedBuffers) {
        queue.rewind(to: mark)
        return true  // Larger than what the driver is ready to take: dropped.
      }
    }
    first?.skip(NetworkHeader.bufferCountOffset)
    first?.store(used)
    device.counters.countReceived(bytes: count - NetworkHeader.size)
    return true
  }

  // MARK: - From the driver

  private func transmit(_ queue: LiveQueue) throws(QueueError) {
    defer { context.signal(queue) }
    var count = 0
    repeat {
      queue.suppressNotifications()
      while let chain = try takeHeld(or: queue) {
        guard send(chain.reader) else {
          return held = consume chain
        }
        queue.complete(chain, written: 0)
        count += 1
        if count == Self.turn || context.isWanted { return context.reschedule(queue) }
      }
    } while queue.allowNotifications()
  }

  private func takeHeld(or queue: LiveQueue) throws(QueueError) -> Chain? {
    if let chain = held.take() { return chain }
    return try queue.next()
  }

  /// Sends a frame, or drops it when it is none or nobody is there. False when the port is full.
  private func send(_ reader: ChainReader) -> Bool {
    if hasHeaders { return sendWithHeader(reader) }
    var reader = reader
    guard let header = NetworkHeader(&reader), Self.frameSizes.contains(reader.remaining),
      header.segmentation == 0, !isPeerGone
    else { return true }
    let bytes = reader.remaining
    let outcome: HostChannel.Outcome
    if header.flags & NetworkHeader.needsChecksum != 0 {
      let frame = UnsafeMutableRawBufferPointer(rebasing: outgoing[..<reader.remaining])
      reader.read(into: frame)
      guard context.features.contains(.networkChecksum),
        InternetChecksum.complete(
          frame, start: Int(header.checksumStart), offset: Int(header.checksumOffset))
      else { return true }
      outcome = device.channel.write([UnsafeRawBufferPointer(frame)])
    } else {
      outcome = reader.withBuffers { device.channel.write($0) }
    }
    return settle(outcome, bytes: bytes)
  }

  /// As ``send(_:)``, to where headers are understood.
  private func sendWithHeader(_ reader: ChainReader) -> Bool {
    guard Self.frameSizes.contains(reader.remaining - NetworkHeader.size), !isPeerGone else { return true }
    let bytes = reader.remaining - NetworkHeader.size
    return settle(reader.withBuffers { device.channel.write($0) }, bytes: bytes)
  }

  /// Draws the conclusions of sending a frame. False when the port is full.
  private func settle(_ outcome: HostChannel.Outcome, bytes: Int) -> Bool {
    switch outcome {
    case .transferred: device.counters.countSent(bytes: bytes)
    case .closed: losePeer()
    case .failed: break
    case .wouldBlock: return false
    }
    return true
  }
}
