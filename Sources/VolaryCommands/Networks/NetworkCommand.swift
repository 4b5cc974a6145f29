internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary network`.
struct NetworkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network", abstract: "Look at networks, and put instances on them.",
    subcommands: [List.self, Show.self, Info.self, Attach.self, Detach.self])

  private static func path(_ name: String) -> String { "/1.0/networks/\(APIEndpoint.escaped(name))" }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List networks: nat, and the host's own.", aliases: ["ls"])

    @OptionGroup var format: FormatOption
    @OptionGroup var project: ProjectOption

    func run() throws {
      let query = project.query
      let all = try Daemon.run { client in
        var all: [Row] = []
        let networks = try await client.get(
          "/1.0/networks", query: query + [("recursion", "1")], as: [NetworkObject].self)
        for network in networks {
          let path = NetworkCommand.path(network.name) + "/state"
          // One may go between the two questions.
          all.append(Row(network: network, state: try? await client.get(path, query: query)))
        }
        return all
      }
      let table = TextTable(
        titles: ["NAME", "TYPE", "MANAGED", "IPV4", "IPV6", "USED BY", "STATE"], objects: all,
        encoder: APICoding.prettyEncoder
      ) { row in
        [
          row.network.name, row.network.type, row.network.managed ? "YES" : "NO", row.address("inet"),
          row.address("inet6"), "\(row.network.usedBy.count)", (row.state?.state ?? "").uppercased(),
        ]
      }
      try format.show(table)
    }
  }

  private struct Row: Encodable, Sendable {
    let network: NetworkObject
    let state: NetworkStateObject?

    func address(_ family: String) -> String {
      state?.addresses.first { $0.family == family && $0.scope != "link" }
        .map { "\($0.address)/\($0.netmask)" } ?? ""
    }

    func encode(to encoder: any Encoder) throws { try network.encode(to: encoder) }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a network.")

    @Argument(completion: NetworkCompletion.names) var name: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (NetworkCommand.path(name), project.query)
      let network: NetworkObject = try Daemon.run { try await $0.get(path, query: query) }
      try YAMLText.show(network)
    }
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show how a network is now: addresses, counters, what is in a bridge.")

    @Argument(completion: NetworkCompletion.names) var name: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (NetworkCommand.path(name) + "/state", project.query)
      let state: NetworkStateObject = try Daemon.run { try await $0.get(path, query: query) }
      try YAMLText.show(state)
    }
  }

  struct Attach: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Put an instance's network card on a network: volary network attach br0 web")

    @Argument(completion: NetworkCompletion.names) var network: String
    @Argument(completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The device; eth0 when none is named.") var device = "eth0"
    @Argument(help: "What the guest calls it.") var interface: String?
    @OptionGroup var project: ProjectOption

    func run() throws {
      var card = ["type": "nic", "network": network]
      if let interface { card["name"] = interface }
      try NetworkCommand.set(device, card, of: instance, project)
    }
  }

  struct Detach: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take an instance's network card away from a network.")

    @Argument(completion: NetworkCompletion.names) var network: String
    @Argument(completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The device; the one that is on the network when none is named.") var device: String?
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = ("/1.0/instances/\(APIEndpoint.escaped(instance))", project.query)
      let object: InstanceObject = try Daemon.run { try await $0.get(path, query: query) }
      let network = network
      let found = object.expandedDevices.filter { name, card in
        card["type"] == "nic" && (device == nil || device == name)
          && (card["nictype"] == nil ? card["network"] ?? "nat" : card["parent"]) == network
      }
      guard let name = found.keys.min() else {
        throw VolaryError(.notFound, "the instance \(instance) has no card on the network \(network)")
      }
      // Taken away, whatever its profiles say.
      try NetworkCommand.set(name, ["type": "none"], of: instance, project)
    }
  }

  private static func set(
    _ device: String, _ card: [String: String], of instance: String, _ project: ProjectOption
  ) throws {
    let (path, query) = ("/1.0/instances/\(APIEndpoint.escaped(instance))", project.query)
    try Daemon.run { client in
      _ = try await client.patch(path, query: query, InstancePut(devices: [device: card]))
      try await client.get(path, query: query, as: InstanceObject.self).tellOfRestart()
    }
  }
}

/// Names of networks, for shells.
enum NetworkCompletion {
  static let names = CompletionKind.custom { (_: [String], _: Int, prefix: String) in
    let paths: [String]? = try? Daemon.ifThere { try await $0.get("/1.0/networks") }
    return (paths ?? []).map { String($0.dropFirst("/1.0/networks/".count)) }.filter { $0.hasPrefix(prefix) }
  }
}
