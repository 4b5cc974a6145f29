internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import HostSystem
internal import NIOCore
internal import Synchronization
internal import VolaryAPI
internal import VolaryHost

/// A program in a guest with this process's streams, or its terminal.
struct GuestProgram {
  private let post: InstanceExecPost
  private let name: String
  private let query: [(String, String)]
  /// Signals that are the program's in the guest; at a terminal they are typed.
  private static let passedOn = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]

  init(_ post: InstanceExecPost, in name: String, query: [(String, String)]) {
    self.post = post
    self.name = name
    self.query = query
  }

  /// Runs it to its end, and gives its exit code.
  func run() throws -> Int32 {
    var post = post
    let isInteractive = post.interactive ?? false
    let terminal = isInteractive && Terminal.isTerminal(0) ? try? Terminal(fd: 0) : nil
    if let size = terminal?.size { (post.width, post.height) = (Int(size.columns), Int(size.rows)) }
    // Before there are other threads, which would take them.
    let signals = try SignalQueue(terminal == nil ? Self.passedOn : [SIGWINCH])
    try? terminal?.enterRawMode()
    defer { terminal?.restore() }
    let words = Self.words(signals, terminal)
    let (name, query, request) = (name, query, post)
    return try Daemon.run { client in
      let path = "/1.0/instances/\(APIEndpoint.escaped(name))/exec"
      let operation = try await client.post(path, query: query, request).operation()
      let streams = Streams(client: client, operation: operation)
      return try await withThrowingTaskGroup(of: Int32?.self) { group in
        // What cannot be sent any more the program does not want: how it ended is said elsewhere.
        group.addTask {
          try? await streams.open("control") { socket in
            for await word in words { try await socket.send(word) }
            try await Self.rest()
          }
          return nil
        }
        if isInteractive {
          group.addTask {
            try await streams.open("0") { socket in try await Self.talk(socket) }
            return try await streams.code()
          }
        } else {
          group.addTask {
            try? await streams.open("0") { socket in
              while let bytes = await Input.next() { try await socket.send(ByteBuffer(bytes: bytes)) }
              try await socket.send("")
              try await Self.rest()
            }
            return nil
          }
          group.addTask {
            try await withThrowingTaskGroup(of: Void.self) { outputs in
              for (socket, descriptor) in [("1", 1), ("2", 2)] as [(String, Int32)] {
                outputs.addTask { try await streams.open(socket) { try await Self.show($0, descriptor) } }
              }
              try await outputs.waitForAll()
            }
            return try await streams.code()
          }
        }
        defer { group.cancelAll() }
        while let code = try await group.next() { if let code { return code } }
        throw VolaryError("the command came to no end")
      }
    }
  }

  // MARK: - Streams

  /// What of an operation its websockets are.
  private struct Streams: Sendable {
    let client: APIClient
    let operation: OperationObject

    func open(_ name: String, _ body: (WebSocket) async throws -> Void) async throws {
      guard let secret = operation.metadata?["fds"]?[name]?.string else {
        throw VolaryError("the daemon's answer names no stream `\(name)`")
      }
      var isDone = false
      do {
        try await client.webSocket(operation.path + "/websocket", query: [("secret", secret)]) { socket in
          try await body(socket)
          isDone = true
        }
      } catch let closure as WebSocketClosure {
        // Why, the operation says.
        _ = try await client.wait(for: operation)
        throw VolaryError("the connection to the daemon was lost (\(closure.reason))")
      } catch let error as ChannelError {
        // The daemon may have closed it first.
        if isDone { return }
        _ = try await client.wait(for: operation)
        throw VolaryError("the connection to the daemon was lost (\(error))")
      }
    }

    func code() async throws -> Int32 {
      let ended = try await client.wait(for: operation)
      guard case .integer(let code)? = ended.metadata?["return"] else {
        throw VolaryError("the daemon does not say how the command ended")
      }
      return Int32(truncatingIfNeeded: code)
    }
  }

  private static func talk(_ socket: WebSocket) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        while let bytes = await Input.next() {
          if (try? await socket.send(ByteBuffer(bytes: bytes))) == nil { break }
        }
        try await rest()
      }
      group.addTask { try await show(socket, 1) }
      try await group.next()
      group.cancelAll()
    }
  }

  /// Writes what comes, until its end.
  private static func show(_ socket: WebSocket, _ descriptor: Int32) async throws {
    for try await message in socket.messages {
      guard case .binary(let bytes) = message else { return }
      var rest = Array(bytes.readableBytesView)[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        // Nobody reads any more, as with `| head`: the end that a shell knows of such programs.
        if count < 0, errno == EPIPE { throw ExitCode(128 + SIGPIPE) }
        if count <= 0 { throw VolaryError("cannot write the output: \(Errno(errno))") }
        rest = rest.dropFirst(count)
      }
    }
  }

  /// Nothing more is sent; others go on.
  private static func rest() async throws { try await Task.sleep(for: .seconds(1 << 30)) }

  /// What a program is told besides its input, in the words of Incus's control socket.
  private static func words(_ signals: SignalQueue, _ terminal: Terminal?) -> AsyncStream<String> {
    let (words, continuation) = AsyncStream.makeStream(of: String.self)
    nonisolated(unsafe) let terminal = terminal
    Foundation.Thread.detachNewThread {
      while true {
        var entry = pollfd(fd: signals.descriptor.raw, events: Int16(POLLIN), revents: 0)
        poll(&entry, 1, -1)
        while let signal = signals.next() {
          if signal == SIGWINCH, let size = terminal?.size {
            continuation.yield(
              #"{"command":"window-resize","args":{"width":"\#(size.columns)","height":"\#(size.rows)"}}"#)
          } else if signal != SIGWINCH {
            continuation.yield(#"{"command":"signal","signal":\#(signal)}"#)
          }
        }
      }
    }
    return words
  }

  /// Standard input, read when somebody wants more of it.
  private enum Input {
    private static let queue = DispatchQueue(label: "standard input")

    /// Nil at its end, or when nobody wants it any more; then the process is about to end, with what was read.
    static func next() async -> [UInt8]? {
      let waiter = Waiter()
      return await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          waiter.wait(continuation)
          queue.async {
            var buffer = [UInt8](repeating: 0, count: 32 << 10)
            var count: Int
            repeat {
              count = buffer.withUnsafeMutableBytes { read(0, $0.baseAddress, $0.count) }
            } while count < 0 && errno == EINTR
            waiter.resume(count > 0 ? Array(buffer[..<count]) : nil)
          }
        }
      } onCancel: {
        waiter.resume(nil)
      }
    }

    /// Whoever comes first says what was waited for.
    private final class Waiter: Sendable {
      private enum State {
        case new, over
        case waiting(CheckedContinuation<[UInt8]?, Never>)
      }

      private let state = Mutex(State.new)

      func wait(_ continuation: CheckedContinuation<[UInt8]?, Never>) {
        let isOver = state.withLock { state in
          if case .over = state { return true }
          state = .waiting(continuation)
          return false
        }
        if isOver { continuation.resume(returning: nil) }
      }

      func resume(_ bytes: [UInt8]?) {
        let continuation = state.withLock { state -> CheckedContinuation<[UInt8]?, Never>? in
          defer { state = .over }
          if case .waiting(let continuation) = state { return continuation }
          return nil
        }
        continuation?.resume(returning: bytes)
      }
    }
  }
}
