internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import HostSystem
internal import NIOCore
internal import VolaryAPI
internal import VolaryHost

/// `volary console`.
struct ConsoleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "console", abstract: "Join an instance's serial console; Ctrl-] leaves it.")

  /// Ctrl-].
  private static let escapeKey: UInt8 = 0x1d

  @Argument(help: "The instance.", completion: InstanceCompletion.names)
  var name: String

  @Flag(help: "Only show the last of what the guest wrote.")
  var showLog = false

  @OptionGroup var project: ProjectOption

  func run() throws {
    if showLog {
      let (path, query) = (
        "/1.0/instances/\(APIEndpoint.escaped(name))/console", project.query + [("type", "log")]
      )
      return FileHandle.standardOutput.write(
        try Daemon.run { try await $0.send("GET", path, query: query).body })
    }
    try Self.show(name, query: project.query)
  }

  /// Joins the console until the person leaves, input ends or the machine does.
  static func show(_ name: String, query: [(String, String)]) throws {
    let isTerminal = Terminal.isTerminal(0)
    if isTerminal {
      FileHandle.standardError.write(Data("volary: the console of \(name); Ctrl-] leaves it\n".utf8))
    }
    let terminal = isTerminal ? try? Terminal(fd: 0) : nil
    try? terminal?.enterRawMode()
    defer { terminal?.restore() }
    try Daemon.run { client in
      let path = "/1.0/instances/\(APIEndpoint.escaped(name))/console"
      let operation = try await client.post(path, query: query, InstanceConsolePost()).operation()
      guard case .object(let fds)? = operation.metadata?["fds"], case .string(let secret)? = fds["0"] else {
        throw VolaryError("the daemon's answer names no console")
      }
      try await client.webSocket(operation.path + "/websocket", query: [("secret", secret)]) { socket in
        try await relay(socket, leavesByKey: isTerminal)
      }
    }
    if isTerminal { FileHandle.standardError.write(Data("\r\n".utf8)) }
  }

  private static func relay(_ socket: WebSocket, leavesByKey: Bool) async throws {
    let input = keys(leavesByKey)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for await bytes in input { try await socket.send(ByteBuffer(bytes: bytes)) }
        // Input that ends leaves the guest time to answer.
        if !leavesByKey { try await Task.sleep(for: .seconds(3600 * 24)) }
      }
      group.addTask {
        for try await message in socket.messages {
          switch message {
          case .binary(let bytes): write(Array(bytes.readableBytesView))
          case .text(let text): write(Array(text.utf8))
          }
        }
      }
      try await group.next()
      group.cancelAll()
    }
  }

  private static func write(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(1, $0.baseAddress, $0.count) }
      if count <= 0 { return }
      rest = rest.dropFirst(count)
    }
  }

  /// What is typed, until the key by which one leaves.
  private static func keys(_ leavesByKey: Bool) -> AsyncStream<[UInt8]> {
    let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
    // The thread stays in read(2) until the process ends.
    Foundation.Thread.detachNewThread {
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = buffer.withUnsafeMutableBytes { read(0, $0.baseAddress, $0.count) }
        if count <= 0 { break }
        let bytes = buffer[..<count]
        if leavesByKey, let key = bytes.firstIndex(of: escapeKey) {
          continuation.yield(Array(bytes[..<key]))
          break
        }
        continuation.yield(Array(bytes))
      }
      continuation.finish()
    }
    return stream
  }
}
