internal import AgentProtocol
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// Programs that are run in guests, by their agents.
struct InstanceExec: RouteGroup {
  private let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  let apiExtensions = [
    "container_exec_user_group_cwd", "container_exec_signal_handling", "instance_state_os_info",
  ]

  var routes: [Route] {
    [
      .begin(
        .post, "/1.0/instances/{name}/exec", "Run a command in an instance", right: .use, query: [.project]
      ) { (call, body: InstanceExecPost) in try await run(call, body) }
    ]
  }

  /// As Incus has it: an operation with the secrets of websockets, which begins when they are there.
  private func run(_ call: Call, _ body: InstanceExecPost) async throws -> OperationObject {
    let record = try await instances.find(call["name"], project: call.project)
    if body.recordOutput == true {
      throw APIError(
        .invalid, "output is not recorded", wayOut: "take it from the websockets, with wait-for-websocket")
    }
    let request = try Self.request(body)
    // Said before there is an operation, as far as it is known.
    let (link, patience) = try await instances.agentLink(of: record)
    let usesSockets = body.waitForWebsocket ?? false
    let session = ExecSession(usesSockets ? (request.isInteractive ? .terminal : .streams) : .none)
    var metadata: [String: JSONValue] = [
      "command": .array((body.command ?? []).map { .string($0) }),
      "interactive": .bool(request.isInteractive),
    ]
    if usesSockets { metadata["fds"] = .object(session.secrets.mapValues { .string($0) }) }
    let connect: Operations.Connect = { secret, socket in try await session.connect(secret, socket) }
    let work: Operations.Work = { _ in
      guard let code = try await session.run(request, link, patience) else {
        throw Instances.missingAgent(record.name)
      }
      return ["return": .integer(Int64(code))]
    }
    return try await instances.services.operations.create(
      class: usesSockets ? .websocket : .task, "Executing command", project: call.project,
      resources: ["instances": [Instances.path(record)]], metadata: metadata, mayCancel: true,
      requestor: call.requireIdentity(), connect: usesSockets ? connect : nil, work)
  }

  private static func request(_ body: InstanceExecPost) throws -> ExecRequest {
    var request = ExecRequest(arguments: try (body.command ?? []).map(bytes))
    if body.interactive ?? false { request.options.insert(.terminal) }
    if body.waitForWebsocket != true { request.options.insert(.noInput) }
    request.user = body.user
    request.group = body.group == 0 && body.user == nil ? nil : body.group
    request.columns = UInt16(clamping: body.width ?? 0)
    request.rows = UInt16(clamping: body.height ?? 0)
    request.directory = try bytes(body.cwd ?? "")
    request.environment = try (body.environment ?? [:]).sorted { $0.key < $1.key }.map { name, value in
      guard !name.isEmpty, !name.contains("=") else {
        throw APIError.invalid("`\(name.prefix(40))` is no name of a variable")
      }
      return try bytes("\(name)=\(value)")
    }
    guard request.encoded.count < AgentProtocol.mostContent else {
      throw APIError(
        .tooLarge, "the command and its environment have more than \(AgentProtocol.mostContent >> 10) KiB")
    }
    return request
  }

  private static func bytes(_ text: String) throws -> [UInt8] {
    guard !text.utf8.contains(0) else { throw APIError.invalid("a command for the guest holds a zero byte") }
    return Array(text.utf8)
  }
}

extension ExecRequest {
  var isInteractive: Bool { options.contains(.terminal) }
}
