internal import HostSystem
internal import Synchronization

/// A console at work: its ports, and the messages about them.
final class ConsoleSession: VirtioSession {
  private enum QueueIndex {
    static let controlReceive = 2
    static let controlTransmit = 3

    /// The queue to the driver of a port; the one from the driver follows it (§5.3.2).
    static func receive(port: Int) -> Int { port == 0 ? 0 : 2 * port + 2 }
    /// The port of a queue that is no control queue.
    static func port(of queue: Int) -> Int { queue < 2 ? 0 : (queue - 2) / 2 }
  }

  private let device: VirtioConsole
  private let context: SessionContext
  private let isMultiport: Bool
  private let ports: [ConsolePort]
  private var size: VirtioConsole.Size
  /// What the device knows of the ports.
  private var known: [VirtioConsole.PortState] = []

  init(device: VirtioConsole, context: SessionContext) {
    self.device = device
    self.context = context
    isMultiport = context.features.contains(.consoleMultiport)
    ports = (0..<(isMultiport ? device.portNames.count : 1)).map { port in
      let receive = QueueIndex.receive(port: port)
      return ConsolePort(
        index: port, receiveQueue: context.queue(receive), transmitQueue: context.queue(receive + 1),
        context: context)
    }
    size = device.host.withLock { $0.size }
  }

  // MARK: - Events

  func process(queue index: Int) throws(QueueError) {
    switch index {
    case QueueIndex.controlReceive: break  // Room for notices.
    case QueueIndex.controlTransmit: if isMultiport { try takeMessages() }
    default:
      let port = QueueIndex.port(of: index)
      guard port < ports.count else { return }
      if index == QueueIndex.receive(port: port) {
        try ports[port].buffersAdded()
      } else {
        try ports[port].transmit()
      }
    }
    try sendNotices()
  }

  func ready(token: UInt64) throws(QueueError) {
    guard token < UInt64(ports.count) else { return }
    let port = ports[Int(token)]
    try port.transmit()
    try port.receive()
    try sendNotices()
  }

  func hostChanged() throws(QueueError) {
    try attach()
    let newSize = device.host.withLock { $0.size }
    if newSize != size {
      size = newSize
      if ports[0].isReady { ports[0].notices.insert(.resize) }
    }
    try sendNotices()
  }

  func begin() throws(QueueError) {
    if context.isResumed {
      for (port, state) in zip(ports, device.host.withLock { $0.ports }) { port.resume(state) }
    }
    // Without control messages, the one port is open as soon as there is a driver.
    if !isMultiport { try ports[0].guestOpened() }
    try attach()
    publish()
  }

  /// Has the device know what is to be known of the ports.
  private func publish() {
    let states = ports.map(\.state)
    guard states != known else { return }
    known = states
    device.host.withLock { $0.ports.replaceSubrange(..<states.count, with: states) }
  }

  /// A guest does not wait until what it wrote has been taken: it may end at once after that.
  func drain() {
    for port in ports { port.drain { self.device.isAbandoned } }
  }

  private func attach() throws(QueueError) {
    let attachments = device.host.withLock { $0.attachments }
    for port in ports { try port.attach(attachments[port.index]) }
  }

  // MARK: - Messages from the driver

  private func takeMessages() throws(QueueError) {
    guard let queue = context.queue(QueueIndex.controlTransmit) else { return }
    defer { context.signal(queue) }
    repeat {
      queue.suppressNotifications()
      while var chain = try queue.next() {
        let message = ConsoleControl(&chain.reader)
        queue.complete(chain, written: 0)
        if let message { try take(message) }
        if context.isWanted { return context.reschedule(queue) }
      }
    } while queue.allowNotifications()
  }

  private func take(_ message: ConsoleControl) throws(QueueError) {
    if message.event == ConsoleControl.Event.deviceReady {
      if message.value == 1 { for port in ports { port.notices.insert(.add) } }
      return
    }
    guard message.port < UInt32(ports.count) else { return }
    let port = ports[Int(message.port)]
    switch (message.event, message.value) {
    case (ConsoleControl.Event.portReady, 1):
      port.becomeReady(
        isConsole: port.index == 0, hasName: device.portNames[port.index] != nil,
        hasSize: size != VirtioConsole.Size())
    case (ConsoleControl.Event.portOpen, 0): try port.guestClosed()
    case (ConsoleControl.Event.portOpen, _): try port.guestOpened()
    default: break
    }
  }

  // MARK: - Messages to the driver

  /// Sends what the driver is to know, as far as it has room for it.
  private func sendNotices() throws(QueueError) {
    defer { publish() }
    guard isMultiport, let queue = context.queue(QueueIndex.controlReceive) else { return }
    defer { context.signal(queue) }
    for port in ports {
      while !port.notices.isEmpty {
        guard var chain = try queue.next() else {
          if queue.allowNotifications() { continue }
          return
        }
        let notice = ConsolePort.Notices(rawValue: port.notices.rawValue & (~port.notices.rawValue &+ 1))
        chain.writer.write(bytes(of: notice, port: port.index))
        let written = chain.writer.written
        queue.complete(chain, written: written)
        port.notices.remove(notice)
      }
    }
  }

  private func bytes(of notice: ConsolePort.Notices, port: Int) -> [UInt8] {
    typealias Event = ConsoleControl.Event
    switch notice {
    case .add: return ConsoleControl(port: port, event: Event.deviceAdd).bytes()
    case .console: return ConsoleControl(port: port, event: Event.consolePort).bytes()
    case .name:
      let name = Array((device.portNames[port] ?? "").utf8)
      return ConsoleControl(port: port, event: Event.portName).bytes(followedBy: name)
    case .resize:
      // Columns come first, as in §5.3.6.2.
      let words = [size.columns, size.rows].flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
      return ConsoleControl(port: port, event: Event.resize).bytes(followedBy: words)
    case .close: return ConsoleControl(port: port, event: Event.portOpen, value: 0).bytes()
    default: return ConsoleControl(port: port, event: Event.portOpen).bytes()
    }
  }
}
