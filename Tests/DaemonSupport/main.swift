internal import Foundation
internal import Glibc
internal import Logging
internal import VolaryAPI
internal import VolaryServer
internal import GRDB

/// The daemon's frame with a part that does as tests tell it: operations of any length, events of any number.
struct TestPart: DaemonPart {
  let services: DaemonServices

  struct Work: Codable, Sendable {
    var name: String?
    var steps: Int64?
    var milliseconds: Int64?
    var failure: String?
    var mayCancel: Bool?
  }

  struct Burst: Codable, Sendable {
    let count: Int
    let bytes: Int
  }

  struct Named: Codable, Sendable {
    let name: String
    let project: String
  }

  var routes: [Route] {
    [
      .begin(.post, "/1.0/test/operations", "Do as told", right: .operate, query: [.project]) {
        (call, work: Work) in try await begin(call, work)
      },
      .change(.post, "/1.0/test/events", "Publish events", right: .operate) { (_, burst: Burst) in
        let text = String(repeating: "x", count: burst.bytes)
        for number in 0..<burst.count {
          await services.events.publish(
            .lifecycle, project: "default",
            metadata: ["number": .integer(Int64(number)), "text": .string(text)])
        }
      },
      .make("/1.0/test/instances", "Keep an instance", right: .operate) { (_, body: Named) in
        let record = InstanceRecord(
          id: UUID().uuidString, project: body.project, name: body.name, architecture: "x86_64")
        try await services.store.write { try record.insert($0) }
        return "/1.0/test/instances/\(body.name)"
      },
      .list(
        "/1.0/test/instances", "Instances", right: .view, query: [.project],
        pathOf: { (instance: InstanceObject) in "/1.0/test/instances/\(instance.name)" }
      ) { call in
        let project = call.project
        return try await services.store.read { database in
          try InstanceRecord.fetchAll(database).filter { $0.project == project }.map { record in
            InstanceObject(
              name: record.name, status: record.statusCode, architecture: record.architecture,
              createdAt: record.createdAt, project: record.project)
          }
        }
      },
      .get("/1.0/test/instances/{name}/state", "A state", right: .view) { _ in
        InstanceStateObject(status: .stopped)
      },
      .webSocket(
        "/1.0/test/echo", "Says what it hears", right: .use,
        .init { _, socket in
          for try await message in socket.messages {
            switch message {
            case .text("close"): throw WebSocketClosure(.policyViolation, "as you wish")
            case .text(let text): try await socket.send(text)
            case .binary(let bytes): try await socket.send(bytes)
            }
          }
        }),
    ]
  }

  private func begin(_ call: Call, _ work: Work) async throws -> OperationObject {
    let steps = work.steps ?? 1
    return try await services.operations.create(
      "Doing as told", project: call.project, resources: ["tests": ["/1.0/test/\(work.name ?? "it")"]],
      mayCancel: work.mayCancel ?? true, requestor: call.identity
    ) { context in
      for step in 0..<steps {
        context.progress("Stepping", done: step, total: steps, unit: "steps")
        try await Task.sleep(for: .milliseconds(work.milliseconds ?? 0))
        if let name = work.name {
          let record = ProjectRecord(name: "\(name)-\(step)", description: "", config: [:])
          try await services.store.write { try record.insert($0) }
        }
      }
      if let failure = work.failure { throw APIError.conflict(failure) }
      return ["steps": .integer(steps)]
    }
  }
}

let arguments = CommandLine.arguments
guard arguments.count == 2 else { exit(2) }
let logger = Logger(label: "volaryd") { StreamLogHandler.standardError(label: $0) }
let daemon = VolaryDaemon(
  .init(socketPath: arguments[1] + "/volaryd.sock", dataDirectory: arguments[1]), logger: logger
) { [TestPart(services: $0)] }
do { try await daemon.run() } catch {
  FileHandle.standardError.write(Data("\(error)\n".utf8))
  exit(1)
}
