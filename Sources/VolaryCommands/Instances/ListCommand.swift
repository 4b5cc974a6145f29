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

  @OptionGroup var format: FormatOption

  @Flag(name: .shortAndLong, help: "Only the names.")
  var quiet = false

  @OptionGroup var project: ProjectOption

  func run() throws {
    if quiet, !filters.contains(where: { $0.contains("=") }) {
      // Names are in the paths already.
      let query = project.query
      let paths: [String] = try Daemon.run { try await $0.get("/1.0/instances", query: query) }
      for path in paths {
        let name = path.dropFirst("/1.0/instances/".count)
        if filters.allSatisfy(name.hasPrefix) { print(name) }
      }
      return
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
    try format.show(table)
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
