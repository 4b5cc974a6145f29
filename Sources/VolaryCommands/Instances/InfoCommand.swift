internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary info`.
struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "Show all about an instance, or without a name about the daemon.",
    discussion: "What the host has, and what of it is promised to instances: volary info --resources")

  @Argument(help: "The instance.", completion: InstanceCompletion.names)
  var name: String?

  @Flag(help: "The last of what the guest wrote on its console.")
  var showLog = false

  @Flag(help: "What the host has, and what of it is promised and used.")
  var resources = false

  @OptionGroup var project: ProjectOption

  func validate() throws {
    if resources, name != nil { throw ValidationError("--resources is about the host: give no name") }
  }

  func run() throws {
    if resources {
      let host: ResourcesObject = try Daemon.run { try await $0.get("/1.0/resources") }
      return print(try HostText.text(of: host), terminator: "")
    }
    guard let name else {
      let reply = try Daemon.run { try await $0.send("GET", "/1.0") }
      return try YAMLText.show(try reply.metadata(as: JSONValue.self))
    }
    let (path, query, showLog) = ("/1.0/instances/\(APIEndpoint.escaped(name))", project.query, showLog)
    if showLog {
      let log = try Daemon.run {
        try await $0.send("GET", path + "/console", query: query + [("type", "log")]).body
      }
      return FileHandle.standardOutput.write(log)
    }
    let (instance, state, snapshots) = try Daemon.run { client in
      (
        try await client.get(path, query: query, as: JSONValue.self),
        try await client.get(path + "/state", query: query, as: JSONValue.self),
        try await client.get(
          path + "/snapshots", query: query + [("recursion", "1")], as: [SnapshotObject].self)
      )
    }
    var all: [String: JSONValue] = ["instance": instance, "state": state]
    if !snapshots.isEmpty {
      // What each was made of is told by `volary snapshot show`.
      all["snapshots"] = .array(
        snapshots.map { snapshot in
          .object([
            "name": .string(snapshot.name), "created_at": .string("\(snapshot.createdAt)"),
            "stateful": .bool(snapshot.stateful), "size": .integer(snapshot.size),
          ])
        })
    }
    try YAMLText.show(JSONValue.object(all))
  }
}

/// `volary query`.
struct QueryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "query", abstract: "Send a request to the daemon and show what it answers.")

  @Option(name: [.customShort("X"), .customLong("request")], help: "GET, POST, PUT, PATCH or DELETE.")
  var method = "GET"

  @Option(name: .shortAndLong, help: "A JSON document to send.")
  var data: String?

  @Flag(help: "Wait for the operation that it begins.")
  var wait = false

  @Argument(help: "The path, such as /1.0/instances?recursion=1.")
  var path: String

  func run() throws {
    let (method, path, data, wait) = (method.uppercased(), path, data.map { Data($0.utf8) }, wait)
    let answer = try Daemon.run { client -> Data in
      let reply = try await client.send(method, path, body: data)
      guard wait, let operation = try? reply.operation() else { return reply.body }
      return try APICoding.encode(try await client.wait(for: operation))
    }
    let value = try? JSONSerialization.jsonObject(with: answer, options: .fragmentsAllowed)
    let shown = (value as? [String: Any])?["metadata"] ?? value
    guard let shown,
      let text = try? JSONSerialization.data(
        withJSONObject: shown,
        options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed])
    else { return FileHandle.standardOutput.write(answer) }
    FileHandle.standardOutput.write(text + Data("\n".utf8))
  }
}
