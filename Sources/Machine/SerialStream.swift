package import Devices
package import HostSystem
internal import Glibc
internal import Synchronization

/// A board's serial port on a stream socket: what the guest sends is written by a thread of its own,
/// what the other end sends goes to the port as it has room. With nobody listening the newest output
/// is kept, up to a bound.
package final class SerialStream: Sendable {
  /// Bytes of output kept for a slow reader; beyond, the oldest go.
  private static let capacity = 64 << 10

  private struct State {
    var output: [UInt8] = []
    var input: [UInt8] = []
    var isOpen = true
    var isEnding = false
  }

  private let socket: Descriptor
  private let wake: EventCounter
  private let state = Mutex(State())
  private let port = Mutex<UART16550?>(nil)

  /// `socket` becomes nonblocking.
  package init(socket: Descriptor) throws(Errno) {
    self.socket = socket
    try socket.setNonblocking(true)
    wake = try EventCounter()
  }

  /// Joins the stream to its port and starts its thread.
  package func connect(to port: UART16550) throws(Errno) {
    self.port.withLock { $0 = port }
    let poller = try Poller()
    try poller.add(wake.descriptor.raw, .read, token: 0)
    try poller.add(socket.raw, .read, token: 1)
    _ = try Thread.start(name: "serial") { self.serve(poller) }
  }

  /// Takes a character from the guest.
  package func send(_ byte: UInt8) {
    let wasEmpty = state.withLock {
      if $0.output.count >= Self.capacity { $0.output.removeFirst(Self.capacity / 4) }
      $0.output.append(byte)
      return $0.output.count == 1
    }
    if wasEmpty { wake.signal() }
  }

  package func send(_ bytes: UnsafeRawBufferPointer) { for byte in bytes { send(byte) } }

  /// The port has room again.
  package func hasRoom() { wake.signal() }

  /// Writes what is left, as far as the other end takes it at once, and ends the thread.
  package func stop() {
    flush()
    state.withLock { $0.isEnding = true }
    wake.signal()
  }

  private func serve(_ poller: Poller) {
    while true {
      guard let events = try? poller.wait(), !state.withLock({ $0.isEnding }) else { return }
      for event in events {
        if event.token == 0 { wake.drain() } else { receive(poller) }
      }
      flush()
      feed()
      let (waits, full, open) = state.withLock { (!$0.output.isEmpty, !$0.input.isEmpty, $0.isOpen) }
      guard open else {
        try? poller.remove(socket.raw)
        continue
      }
      var interest: Poller.Interest = full ? [] : .read
      if waits { interest.insert(.write) }
      try? poller.modify(socket.raw, interest, token: 1)
    }
  }

  private func flush() {
    state.withLock { state in
      guard state.isOpen else { return state.output.removeAll() }
      while !state.output.isEmpty {
        let count = state.output.withUnsafeBytes { write(socket.raw, $0.baseAddress, $0.count) }
        if count <= 0 {
          if count < 0, errno != EAGAIN { state.isOpen = false }
          return
        }
        state.output.removeFirst(count)
      }
    }
  }

  private func receive(_ poller: Poller) {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { read(socket.raw, $0.baseAddress, $0.count) }
    state.withLock {
      if count > 0 { $0.input += buffer[..<count] }
      if count == 0 || (count < 0 && errno != EAGAIN) { $0.isOpen = false }
    }
  }

  private func feed() {
    guard let port = port.withLock({ $0 }) else { return }
    let input = state.withLock { $0.input }
    guard !input.isEmpty else { return }
    let taken = port.receive(input)
    state.withLock { $0.input.removeFirst(taken) }
  }
}
