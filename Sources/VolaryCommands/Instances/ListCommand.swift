internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary list`.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List instances.", aliases: ["ls"])

  @Argument(help: "What names begin with, or key=value; again for less.")
  var filters: [String] = []

  @Option(
    name: .shortAndLong,
    help: "table, compact, json, yaml or csv; without it, a table on a terminal and compact elsewhere.")
  var format: String?

  @Flag(name: .shortAndLong, help: "Only the names.")
  var quiet = false

  @OptionGroup var project: ProjectOption

  func run() throws {
    guard let format = ListFormat.named(format) else {
      throw VolaryError(.usage, "unknown format '\(format ?? "")'; known are \(ListFormat.names)")
    }
    let query = project.query + [("recursion", "1")]
    let all = try Daemon.run { try await $0.get("/1.0/instances", query: query, as: [InstanceObject].self) }
    let instances = all.filter { instance in filters.allSatisfy { Self.fits(instance, $0) } }
    if quiet {
      for instance in instances { print(instance.name) }
      return
    }
    let table = TextTable(
      titles: ["NAME", "STATE", "ARCHITECTURE", "IMAGE", "TYPE", "SNAPSHOTS", "REASON"], objects: instances,
      encoder: APICoding.prettyEncoder
    ) { instance in
      [
        instance.name, instance.status.uppercased(), instance.architecture,
        instance.config["image.alias"] ?? "-",
        instance.type == .container ? "CONTAINER" : "VIRTUAL-MACHINE", "0", Self.reason(instance),
      ]
    }
    print(try table.text(format), terminator: "")
  }

  private static func fits(_ instance: InstanceObject, _ filter: String) -> Bool {
    let parts = filter.split(separator: "=", maxSplits: 1).map(String.init)
    if parts.count < 2 { return instance.name.hasPrefix(filter) }
    switch parts[0] {
    case "name": return instance.name == parts[1]
    case "status", "state": return instance.status.lowercased() == parts[1].lowercased()
    case "architecture": return instance.architecture == parts[1]
    case "type": return instance.type.rawValue == parts[1]
    default: return instance.config[parts[0]] == parts[1]
    }
  }

  private static func reason(_ instance: InstanceObject) -> String {
    if let condition = instance.conditions.first { return condition.message }
    return instance.statusCode == .stopped ? instance.exit?.reason ?? "" : ""
  }
}
