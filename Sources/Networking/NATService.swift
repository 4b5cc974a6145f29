internal import Glibc
package import HostSystem
internal import MachineControl

/// A machine's NAT: moves frames between a socket and a ``SlirpStack`` until the socket's other end is
/// closed. The socket is one end of a Unix pair of SOCK_SEQPACKET; a message is an Ethernet frame
/// without its check sequence.
package final class NATService {
  /// Where frames come from and go to. The stack's closure needs it before the service exists.
  private final class FramePort {
    let descriptor: Descriptor
    var queue = FrameQueue(byteLimit: 4 << 20)
    var isClosed = false

    init(_ descriptor: Descriptor) { self.descriptor = descriptor }

    /// Sends or queues a frame; never blocks.
    func send(_ frame: UnsafeRawBufferPointer) {
      if !queue.isEmpty || !sendNow(frame) { queue.append(frame) }
    }

    /// Sends what waited, as far as the guest has room for it.
    func sendQueued() {
      while let frame = queue.first, frame.withUnsafeBytes(sendNow) { queue.removeFirst() }
    }

    /// False when the guest has no room.
    private func sendNow(_ frame: UnsafeRawBufferPointer) -> Bool {
      let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
      do throws(Errno) {
        try retrying { Glibc.send(descriptor.raw, frame.baseAddress, frame.count, flags) }
        return true
      } catch {
        switch error.code {
        case EAGAIN, ENOBUFS, ENOMEM: return false
        case EMSGSIZE: return true  // dropped: no frame of a sound MTU is that large
        default:
          isClosed = true
          return true
        }
      }
    }

    /// Takes the next frame; nil when there is none now.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer? {
      let flags = Int32(MSG_DONTWAIT) | Int32(MSG_TRUNC)
      do throws(Errno) {
        let count = try retrying { recv(descriptor.raw, buffer.baseAddress, buffer.count, flags) }
        if count == 0 { isClosed = true }
        // Longer than any frame may be: dropped, as an empty frame is by the stack.
        guard count > 0 else { return nil }
        return UnsafeRawBufferPointer(rebasing: buffer[..<(count <= buffer.count ? count : 0)])
      } catch {
        if error != .again { isClosed = true }
        return nil
      }
    }
  }

  private static let longestFrame = 14 + 65535
  /// Frames taken from the guest before sockets are looked at again.
  private static let batch = 64

  private let port: FramePort
  private let configuration: NATConfiguration
  private let report: (String) -> Void
  private var stack: SlirpStack

  /// Starts the stack on the calling thread, which must also call ``run()``; the published ports are
  /// bound afterwards. `report` takes what is said about the guest's mistakes.
  package init(
    _ configuration: NATConfiguration, frames: Descriptor, report: @escaping (String) -> Void = { _ in }
  ) throws(NATError) {
    var kind: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(frames.raw, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 else {
      throw .system("use descriptor \(frames.raw) for frames", Errno(errno))
    }
    guard kind == Int32(SOCK_SEQPACKET.rawValue) else {
      // A datagram socket never tells that its other end was closed.
      throw .usage("the descriptor for frames must be a socket of the kind SOCK_SEQPACKET")
    }
    // Room for a burst; a refusal costs speed alone.
    var room: Int32 = 1 << 20
    setsockopt(frames.raw, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    let port = FramePort(frames)
    self.port = port
    self.configuration = configuration
    self.report = report
    stack = try SlirpStack(configuration, send: port.send, report: report)
  }

  /// Ends the guest's connections. Ports that are published cannot be bound again by a process that has no rights any
  /// more: with them, all stays.
  private func forget() {
    guard configuration.publishedPorts.isEmpty,
      let fresh = try? SlirpStack(configuration, send: port.send, report: report)
    else { return }
    stack = fresh
  }

  /// Runs until the other end of the socket is closed.
  package func run() throws(Errno) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.longestFrame, alignment: 16)
    defer { buffer.deallocate() }
    var waits: [pollfd] = []
    while !port.isClosed {
      var (polls, timeout) = stack.prepare()
      waits.removeAll(keepingCapacity: true)
      let wanted = port.queue.isEmpty ? POLLIN : POLLIN | POLLOUT
      waits.append(pollfd(fd: port.descriptor.raw, events: Int16(wanted), revents: 0))
      for poll in polls { waits.append(pollfd(fd: poll.descriptor, events: poll.events, revents: 0)) }
      try retrying { Int(poll(&waits, nfds_t(waits.count), timeout)) }
      if Int32(waits[0].revents) & POLLOUT != 0 { port.sendQueued() }
      for index in polls.indices { polls[index].revents = waits[index + 1].revents }
      stack.handle(polls)
      for _ in 0..<Self.batch {
        guard let frame = port.receive(into: buffer) else { break }
        if frame.count == NetworkOrder.forget.count, frame.elementsEqual(NetworkOrder.forget) {
          forget()
          break
        }
        stack.receive(frame)
      }
    }
  }
}
