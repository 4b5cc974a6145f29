internal import AgentProtocol
internal import HostSystem
internal import NIOCore
internal import VolaryAPI
internal import VolaryHost

/// A connection to a guest's agent, for the one task that reads it; whoever has ``writer`` may write.
final class AgentStream: @unchecked Sendable {  // one task reads it
  typealias Writer = NIOAsyncChannelOutboundWriter<ByteBuffer>

  /// The line by which the machine says that a program of the guest's has the connection.
  private static let longestGreeting = 32
  /// Between two tries.
  private static let pause: Duration = .milliseconds(200)

  let writer: Writer
  private let channel: any Channel
  private var bytes: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  /// What came behind the greeting.
  private var rest = ByteBuffer()
  private var reader = AgentFrameReader()

  private init(
    _ channel: any Channel, _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ writer: Writer
  ) {
    self.channel = channel
    self.writer = writer
    bytes = inbound.makeAsyncIterator()
  }

  /// Calls `body` with a connection, for which the agent is given so long to come; the connection ends with it.
  /// Nil when there is no agent.
  static func open<Result: Sendable>(
    _ link: MachineLink, patience: Duration, isolation: isolated (any Actor)? = #isolation,
    _ body: (AgentStream) async throws -> Result
  ) async throws -> Result? {
    let deadline = ContinuousClock.now + patience
    while true {
      let left = max(.milliseconds(100), deadline - .now)
      if let result = try await attempt(link, left, isolation: isolation, body) { return result }
      try Task.checkCancellation()
      if link.isClosed || ContinuousClock.now + Self.pause > deadline { return nil }
      try await Task.sleep(for: Self.pause)
    }
  }

  private static func attempt<Result: Sendable>(
    _ link: MachineLink, _ patience: Duration, isolation: isolated (any Actor)? = #isolation,
    _ body: (AgentStream) async throws -> Result
  ) async throws -> Result? {
    let socket: UnixSocket
    do { socket = try link.connect(toPort: AgentProtocol.port) } catch { return nil }
    let channel = try await socket.channel()
    return try await channel.executeThenClose { inbound, outbound in
      let stream = AgentStream(channel.channel, inbound, outbound)
      guard try await stream.isGreeted(within: patience) else { return nil }
      return try await body(stream)
    }
  }

  private func isGreeted(within patience: Duration) async throws -> Bool {
    let channel = channel
    let deadline = channel.eventLoop.scheduleTask(in: TimeAmount(patience)) { channel.close(promise: nil) }
    defer { deadline.cancel() }
    while let more = try? await bytes.next() {
      rest.writeImmutableBuffer(more)
      if let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
        rest.moveReaderIndex(to: end + 1)
        return true
      }
      if rest.readableBytes > Self.longestGreeting { return false }
    }
    return false
  }

  // MARK: - Reading and writing

  /// The next bytes, for who has taken the connection out of the frames; nil at the end.
  func nextBytes() async throws -> ByteBuffer? {
    if rest.readableBytes > 0 {
      defer { rest = ByteBuffer() }
      return rest
    }
    return try await bytes.next()
  }

  /// The next frame; nil at the end. Throws for what is none: a guest may send anything.
  func nextFrame() async throws -> AgentFrame? {
    while true {
      do {
        if let frame = try reader.next() { return frame }
      } catch { throw APIError(.failed, "the guest's agent does not keep to its protocol (\(error))") }
      guard let more = try await nextBytes() else { return nil }
      reader.append(Array(more.readableBytesView)[...])
    }
  }

  func send(_ frame: AgentFrame) async throws { try await writer.write(ByteBuffer(bytes: frame.encoded)) }

  /// Ends the connection at once, from anywhere.
  var ending: @Sendable () -> Void {
    let channel = channel
    return { channel.close(promise: nil) }
  }
}

extension AgentFrame {
  /// What a frame of the kind `failed` says.
  var failure: APIError {
    var reader = AgentReader(content)
    guard let code: UInt32 = try? reader.integer(), let what = try? reader.string() else {
      return APIError(.failed, "the guest's agent failed without a word")
    }
    let words = String(decoding: what.prefix(200), as: UTF8.self)
    return APIError(
      .failed, "the guest's agent failed at \(words): \(Errno(Int32(truncatingIfNeeded: code)))")
  }
}
