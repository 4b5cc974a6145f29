internal import Foundation
internal import Glibc
internal import HostSystem
internal import MachineControl
internal import NIOCore
internal import Synchronization
internal import VolaryAPI
internal import VolaryHost

/// The serial consoles of instances: what was written last, and streams both ways.
struct InstanceConsole: RouteGroup {
  /// Bytes of what there was that a console begins with.
  private static let backlog: UInt32 = 4096

  private let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  var routes: [Route] {
    [
      Route(
        .get, "/1.0/instances/{name}/console", "The last of what the guest wrote on its console",
        right: .view,
        query: [.project, .init("type", .words(["log"]), "What is wanted of it")],
        answer: .bytes(type: "text/plain"),
        action: .respond { call in .bytes(try await log(call), type: "application/octet-stream") }),
      .begin(.post, "/1.0/instances/{name}/console", "Open the console", right: .use, query: [.project]) {
        (call, body: InstanceConsolePost) in
        try await open(call, body)
      },
    ]
  }

  private func log(_ call: Call) async throws -> [UInt8] {
    let record = try await instances.find(call["name"], project: call.project)
    let path = instances.folder(of: record).console
    return try await offThread("console") {
      guard let file = try? Descriptor.open(path, O_RDONLY) else { return [] }
      return try ConsoleRing.read(last: ConsoleRing.readable, from: file).bytes
    }
  }

  /// As Incus has it: an operation with the secrets of two websockets, the console's bytes and words about it.
  private func open(_ call: Call, _ body: InstanceConsolePost) async throws -> OperationObject {
    if let type = body.type, type != "console", !type.isEmpty {
      throw APIError(
        .invalid, "there is no console of the type `\(type)`", wayOut: "there is `console`")
    }
    let record = try await instances.find(call["name"], project: call.project)
    let stream = try await instances.attachConsole(record, backlog: Self.backlog)
    let session = ConsoleSession(stream)
    return try await instances.services.operations.create(
      class: .websocket, "Showing console", project: call.project,
      resources: ["instances": [Instances.path(record)]],
      metadata: ["fds": ["0": .string(session.dataSecret), "control": .string(session.controlSecret)]],
      mayCancel: true, requestor: call.requireIdentity(), connect: session.connect
    ) { _ in
      try await session.run()
      return [:]
    }
  }
}

extension Instances {
  /// Joins the console of an instance that runs.
  func attachConsole(_ record: InstanceRecord, backlog: UInt32) async throws -> UnixSocket {
    guard let machine = machines[record.id] else {
      throw APIError.conflict(
        "the instance `\(record.name)` does not run",
        wayOut: "start it first; `--show-log` shows what it said last")
    }
    do { return try await machine.link.attachConsole(backlog: backlog) } catch let error as ControlError {
      guard case .refused(let refusal) = error, refusal.code == .wrongState else {
        throw APIError(host: error)
      }
      throw APIError.conflict(
        "the console of `\(record.name)`: \(refusal.message)", wayOut: "leave one of them")
    } catch { throw APIError(host: error) }
  }
}

/// A console that is open: its stream to the machine, and the websockets of who opened it.
final class ConsoleSession: Sendable {
  /// How long the websocket may take to come.
  private static let patience: Duration = .seconds(30)

  let dataSecret = ConsoleSession.secret()
  let controlSecret = ConsoleSession.secret()
  private let stream: UnixSocket
  private let ended: AsyncStream<Void>
  private let end: AsyncStream<Void>.Continuation
  private let isTaken = Atomic(false)

  init(_ stream: UnixSocket) {
    self.stream = stream
    (ended, end) = AsyncStream.makeStream(of: Void.self)
  }

  /// By which a websocket of an operation is known.
  static func secret() -> String {
    (0..<4).map { _ in String(UInt64.random(in: 0...UInt64.max), radix: 16) }.joined()
  }

  /// Waits until the console is closed, or nobody has come for it.
  func run() async throws {
    let patience = Task {
      try await Task.sleep(for: Self.patience)
      if !self.isTaken.load(ordering: .relaxed) { self.end.finish() }
    }
    for await _ in ended {}
    patience.cancel()
    shutdown(stream.descriptor.raw, Int32(SHUT_RDWR))
  }

  func connect(_ secret: String, _ socket: WebSocket) async throws {
    if secret == controlSecret {
      // Words such as a new size of the window, for which a serial line has no use. Who closes it leaves the console.
      defer { end.finish() }
      for try await _ in socket.messages {}
      return
    }
    guard secret == dataSecret else {
      throw WebSocketClosure(.policyViolation, "this is not the console's secret")
    }
    guard !isTaken.exchange(true, ordering: .relaxed) else {
      throw WebSocketClosure(.policyViolation, "the console is open already")
    }
    defer { end.finish() }
    try await relay(socket)
  }

  private func relay(_ socket: WebSocket) async throws {
    let channel = try await stream.channel()
    try await channel.executeThenClose { inbound, outbound in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { for try await bytes in inbound { try await socket.send(bytes) } }
        group.addTask {
          for try await message in socket.messages {
            switch message {
            case .binary(let bytes): try await outbound.write(bytes)
            case .text(let text): try await outbound.write(ByteBuffer(string: text))
            }
          }
        }
        // The first that ends, ends both.
        try await group.next()
        group.cancelAll()
      }
    }
  }
}
