internal import AgentProtocol
internal import Foundation
internal import NIOCore
internal import VolaryAPI
internal import VolaryHost

/// A program in a guest and the websockets of who runs it.
///
/// Its streams are websockets of their own, named as the file descriptors: binary messages are bytes, a text message
/// is the end of them. A terminal has one both ways. Words about it (sizes, signals) come by another.
actor ExecSession {
  enum Streams {
    case none, streams, terminal
  }

  private enum Role: String, CaseIterable {
    case input = "0"
    case output = "1"
    case errors = "2"
    case control
  }

  /// How long the websockets may take to come.
  private static let patience: Duration = .seconds(30)
  private static let pieceOfInput = 16 << 10

  /// By the websocket's name.
  nonisolated let secrets: [String: String]
  private let streams: Streams
  private var sockets: [Role: WebSocket] = [:]
  private var taken: Set<Role> = []
  private var writer: AgentStream.Writer?
  private var hangUp: (@Sendable () -> Void)?
  /// Bytes of input that the agent has room for.
  private var room = AgentProtocol.inputWindow
  private var isOver = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ streams: Streams) {
    self.streams = streams
    let roles: [Role] =
      switch streams {
      case .none: []
      case .streams: Role.allCases
      case .terminal: [.input, .control]
      }
    secrets = Dictionary(
      uniqueKeysWithValues: roles.map { ($0.rawValue, ConsoleSession.secret()) })
  }

  // MARK: - The program

  /// Runs it to its end: its exit code, or nil when there is no agent.
  func run(_ request: ExecRequest, _ link: MachineLink, _ patience: Duration) async throws -> UInt8? {
    defer {
      isOver = true
      changed()
    }
    try await waitForSockets()
    return try await AgentStream.open(link, patience: patience) { stream in
      try await stream.send(AgentFrame(.exec, request.encoded))
      self.begin(stream.writer, stream.ending)
      while let frame = try await stream.nextFrame() {
        switch frame.kind {
        case .started: break
        case .output: try await self.socket(.output)?.send(ByteBuffer(bytes: frame.content))
        case .errors: try await self.socket(.errors)?.send(ByteBuffer(bytes: frame.content))
        case .room: self.addRoom(frame.content)
        case .ended: return frame.content.first ?? 0
        case .failed: throw frame.failure
        default: throw APIError(.failed, "the guest's agent does not keep to its protocol")
        }
      }
      try Task.checkCancellation()
      throw APIError(.failed, "the connection to the guest's agent was lost")
    }
  }

  private func waitForSockets() async throws {
    let wanted: Set<Role> =
      switch streams {
      case .none: []
      case .streams: [.input, .output, .errors]
      case .terminal: [.input]
      }
    let deadline = Task {
      try await Task.sleep(for: Self.patience)
      self.changed()
    }
    defer { deadline.cancel() }
    let end = ContinuousClock.now + Self.patience
    while !wanted.isSubset(of: taken) {
      guard ContinuousClock.now < end else {
        throw APIError(.timedOut, "nobody has opened the command's websockets")
      }
      try Task.checkCancellation()
      await withTaskCancellationHandler {
        await change()
      } onCancel: {
        Task { await self.changed() }
      }
    }
  }

  private func begin(_ writer: AgentStream.Writer, _ hangUp: @escaping @Sendable () -> Void) {
    self.writer = writer
    self.hangUp = hangUp
    changed()
  }

  private func socket(_ role: Role) -> WebSocket? {
    sockets[streams == .terminal ? .input : role]
  }

  private func addRoom(_ content: [UInt8]) {
    var reader = AgentReader(content)
    guard let count: UInt32 = try? reader.integer() else { return }
    room = min(room + Int(count), AgentProtocol.inputWindow)
    changed()
  }

  // MARK: - The websockets

  func connect(_ secret: String, _ socket: WebSocket) async throws {
    guard let role = Role.allCases.first(where: { secrets[$0.rawValue] == secret }) else {
      throw WebSocketClosure(.policyViolation, "this is no secret of the command's")
    }
    guard taken.insert(role).inserted else {
      throw WebSocketClosure(.policyViolation, "this websocket is open already")
    }
    sockets[role] = socket
    changed()
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        try? await self.read(role, socket)
        await self.readerEnded(role)
      }
      // The websocket stays until the program's end: what it writes goes there, whether or not its reader writes.
      await untilOver()
      // The end of what there was to be read. The connection stays until the client closes it too: it may not have
      // come to read what is still to go.
      if role == .output || role == .errors || role == .input && streams == .terminal {
        try? await socket.send("")
      }
      try? await socket.close()
      group.addTask { try? await Task.sleep(for: Self.patience) }
      await group.next()
      group.cancelAll()
    }
  }

  private func read(_ role: Role, _ socket: WebSocket) async throws {
    for try await message in socket.messages {
      switch (role, message) {
      case (.input, .binary(let bytes)): try await pass(Array(bytes.readableBytesView))
      case (.input, .text): try await send(AgentFrame(.inputEnd))
      case (.control, .text(let text)): try await control(Data(text.utf8))
      case (.control, .binary(let bytes)): try await control(Data(bytes.readableBytesView))
      default: break
      }
    }
  }

  /// Who is gone reads and writes no more.
  private func readerEnded(_ role: Role) async {
    guard !isOver, !Task.isCancelled else { return }
    switch (role, streams) {
    case (.input, .streams): try? await send(AgentFrame(.inputEnd))
    case (.input, .terminal), (.output, _), (.errors, _): hangUp?()
    default: break
    }
  }

  /// Input, as fast as the program takes it.
  private func pass(_ bytes: [UInt8]) async throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      while room == 0, !isOver { await change() }
      let piece = rest.prefix(min(room, Self.pieceOfInput))
      room -= piece.count
      rest = rest.dropFirst(piece.count)
      try await send(AgentFrame(.input, Array(piece)))
    }
  }

  private func control(_ data: Data) async throws {
    guard let word = try? APICoding.decode(ExecControl.self, from: data) else { return }
    switch word.command {
    case "window-resize":
      var size = AgentWriter()
      size.integer(UInt16(word.args?["width"] ?? "") ?? 0)
      size.integer(UInt16(word.args?["height"] ?? "") ?? 0)
      try await send(AgentFrame(.resize, size.bytes))
    case "signal":
      guard let signal = word.signal.flatMap({ UInt8(exactly: $0) }), (1...64).contains(signal) else {
        return
      }
      try await send(AgentFrame(.signal, [signal]))
    default: break
    }
  }

  private func send(_ frame: AgentFrame) async throws {
    while writer == nil, !isOver { await change() }
    if isOver { throw CancellationError() }
    try await writer?.write(ByteBuffer(bytes: frame.encoded))
  }

  // MARK: - Waiting

  private func untilOver() async { while !isOver { await change() } }

  private func change() async { await withCheckedContinuation { waiting.append($0) } }

  private func changed() {
    let waiting = waiting
    self.waiting = []
    for continuation in waiting { continuation.resume() }
  }
}

/// Words about a program that runs (Incus's api.InstanceExecControl).
private struct ExecControl: Decodable {
  let command: String
  let args: [String: String]?
  let signal: Int?
}
