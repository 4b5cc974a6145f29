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

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "Columns by letters: n name, s state, 4 and 6 addresses, t type, S snapshots, a architecture, i image, d description, c created, r reason.",
      valueName: "letters"))
  var columns = "ns46taiSr"

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
    let query = project.query
    let wantsAddresses = columns.contains("4") || columns.contains("6")
    let (all, states) = try Daemon.run {
      client -> ([InstanceObject], [String: InstanceStateObject?]) in
      let all = try await client.get(
        "/1.0/instances", query: query + [("recursion", "1")], as: [InstanceObject].self)
      guard wantsAddresses, all.contains(where: { $0.statusCode == .running }) else { return (all, [:]) }
      // What runs is asked for what it knows of its guest; the many that do not run are not.
      let running = try await client.get(
        "/1.0/instances", query: query + [("recursion", "2"), ("filter", "status eq Running")],
        as: [InstanceObject].self)
      return (all, Dictionary(running.map { ($0.name, $0.state) }, uniquingKeysWith: { one, _ in one }))
    }
    let instances = all.filter { instance in filters.allSatisfy { Self.fits(instance, $0) } }
    if quiet {
      for instance in instances { print(instance.name) }
      return
    }
    let columns = try self.columns.map { letter in
      guard let column = Self.known[letter] else {
        throw VolaryError(
          .usage, "there is no column '\(letter)'",
          wayOut: "there are "
            + Self.known.keys.sorted().map { "\($0) (\(Self.known[$0]?.title ?? ""))" }
            .joined(separator: ", "))
      }
      return column
    }
    let table = TextTable(
      titles: columns.map(\.title), objects: instances, encoder: APICoding.prettyEncoder
    ) { instance in columns.map { $0.text(instance, states[instance.name] ?? nil) } }
    try format.show(table)
  }

  /// A column by its title and what stands there.
  private struct Column: Sendable {
    let title: String
    let text: @Sendable (InstanceObject, InstanceStateObject?) -> String
  }

  /// By the letter with which one asks for it, which are Incus's where it has them.
  private static let known: [Character: Column] = [
    "n": Column(title: "NAME") { instance, _ in instance.name },
    "s": Column(title: "STATE") { instance, _ in instance.status.uppercased() },
    "4": Column(title: "IPV4") { _, state in addresses(state, "inet") },
    "6": Column(title: "IPV6") { _, state in addresses(state, "inet6") },
    "t": Column(title: "TYPE") { instance, _ in
      instance.type == .container ? "CONTAINER" : "VIRTUAL-MACHINE"
    },
    "S": Column(title: "SNAPSHOTS") { instance, _ in "\(instance.snapshotCount)" },
    "a": Column(title: "ARCHITECTURE") { instance, _ in instance.architecture },
    "i": Column(title: "IMAGE") { instance, _ in instance.config["image.alias"] ?? "-" },
    "d": Column(title: "DESCRIPTION") { instance, _ in instance.description },
    "c": Column(title: "CREATED AT") { instance, _ in instance.createdAt.description },
    "r": Column(title: "REASON") { instance, _ in reason(instance) },
  ]

  /// Those by which others reach the guest.
  private static func addresses(_ state: InstanceStateObject?, _ family: String) -> String {
    let networks = (state?.network ?? [:]).sorted { $0.key < $1.key }
    return networks.flatMap { name, network in
      network.addresses.filter { $0.family == family && $0.scope == "global" }.map {
        "\($0.address) (\(name))"
      }
    }.joined(separator: ", ")
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
