internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary config`.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Show and change how instances are configured.",
    subcommands: [Show.self, Get.self, Set.self, Unset.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show configuration and devices.")

    @Argument var name: String
    @Flag(help: "With what it has without being told.")
    var expanded = false
    @OptionGroup var project: ProjectOption

    func run() throws {
      let instance = try ConfigCommand.read(name, project)
      let shown: [String: JSONValue] = [
        "config": try JSONValue(encoding: instance.config),
        "devices": try JSONValue(encoding: expanded ? instance.expandedDevices : instance.devices),
      ]
      print(try YAMLText.text(of: try APICoding.encode(shown)), terminator: "")
    }
  }

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show one key's value.")

    @Argument var name: String
    @Argument var key: String
    @OptionGroup var project: ProjectOption

    func run() throws { print(try ConfigCommand.read(name, project).config[key] ?? "") }
  }

  struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Set keys: volary config set web limits.cpu=2")

    @Argument var name: String
    @Argument(help: "key=value, once or more.") var settings: [String]
    @OptionGroup var project: ProjectOption

    func run() throws { try ConfigCommand.change(name, try Settings.read(settings), project) }
  }

  struct Unset: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take keys away.")

    @Argument var name: String
    @Argument var keys: [String]
    @OptionGroup var project: ProjectOption

    func run() throws {
      try ConfigCommand.change(
        name, Dictionary(keys.map { ($0, "") }, uniquingKeysWith: { first, _ in first }), project)
    }
  }

  private static func read(_ name: String, _ project: ProjectOption) throws -> InstanceObject {
    let (path, query) = ("/1.0/instances/\(APIEndpoint.escaped(name))", project.query)
    return try Daemon.run { try await $0.get(path, query: query) }
  }

  private static func change(_ name: String, _ config: [String: String], _ project: ProjectOption) throws {
    let (path, query) = ("/1.0/instances/\(APIEndpoint.escaped(name))", project.query)
    try Daemon.run { client in _ = try await client.patch(path, query: query, InstancePut(config: config)) }
  }
}
