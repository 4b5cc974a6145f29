internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import VolaryAPI
internal import VolaryHost

/// `volary operation`.
struct OperationCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "operation", abstract: "Look at what the daemon is doing.",
    subcommands: [List.self, Show.self, Cancel.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List what runs, and what ended within the hour.", aliases: ["ls"])

    @OptionGroup var format: FormatOption

    func run() throws {
      let groups: [String: [OperationObject]] = try Daemon.run {
        try await $0.get("/1.0/operations", query: [("recursion", "1")])
      }
      let all = groups.values.joined().sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
      let table = TextTable(
        titles: ["ID", "DESCRIPTION", "STATE", "CREATED", "REASON"], objects: all,
        encoder: APICoding.prettyEncoder
      ) { [$0.id, $0.description, $0.status.uppercased(), $0.createdAt.description, $0.err] }
      try format.show(table)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show an operation.")

    @Argument var id: String

    func run() throws {
      let path = OperationCommand.path(id)
      let operation: OperationObject = try Daemon.run { try await $0.get(path) }
      try YAMLText.show(operation)
    }
  }

  struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Ask for the end of operations.", aliases: ["delete", "rm"])

    @Argument var ids: [String]

    func run() throws {
      let paths = ids.map(OperationCommand.path)
      try Daemon.run { client in for path in paths { _ = try await client.delete(path) } }
    }
  }

  private static func path(_ id: String) -> String { "/1.0/operations/\(APIEndpoint.escaped(id))" }
}

/// `volary monitor`.
struct MonitorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "monitor", abstract: "Show what happens, as it happens, until Ctrl-C.")

  @Option(help: "lifecycle, operation or logging; again for more.") var type: [String] = []
  @Option(help: "After the event with this id, as far back as the daemon remembers.") var since: UInt64?
  @Flag(help: "Each event as a line of JSON.") var json = false

  func run() throws {
    let types = try type.map { name in
      guard let type = EventType(rawValue: name) else {
        let known = EventType.allCases.map(\.rawValue).joined(separator: ", ")
        throw VolaryError(.usage, "unknown type '\(name)'; known are \(known)")
      }
      return type
    }
    let (since, json) = (since, json)
    try Daemon.run { client in
      do {
        try await client.events(types: types, since: since) { event in
          print(json ? String(decoding: try APICoding.encode(event), as: UTF8.self) : Self.line(event))
          // Whoever reads from a pipe reads at once.
          fflush(nil)
          return true
        }
      } catch let closure as WebSocketClosure {
        throw VolaryError(.failed, "the daemon tells no more: \(closure.reason)")
      }
    }
  }

  private static func line(_ event: EventObject) -> String {
    let told = event.metadata
    let who = told["requestor"]?["username"]?.string.map { " by \($0)" } ?? ""
    let what =
      switch event.type {
      case .lifecycle: "\(told["action"]?.string ?? "") \(told["source"]?.string ?? "")\(who)"
      case .operation:
        "\(told["description"]?.string ?? ""): \(told["status"]?.string ?? "") \(told["err"]?.string ?? "")"
      case .logging: told["message"]?.string ?? ""
      }
    return "\(event.timestamp) \(event.type.rawValue) \(what)"
  }
}
