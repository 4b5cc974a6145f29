internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary config`.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Show and change how instances, and the daemon, are configured.",
    discussion: "Without the name of an instance, the daemon: volary config set core.https_address=:8443",
    subcommands: [Show.self, Get.self, Set.self, Unset.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show configuration and devices.")

    @Argument(help: "An instance; the daemon without one.", completion: InstanceCompletion.names) var name:
      String?
    @Flag(help: "With what it has without being told.")
    var expanded = false
    @OptionGroup var project: ProjectOption

    func run() throws {
      guard let name else {
        let shown = ["config": try JSONValue(encoding: try ConfigCommand.daemon())]
        try YAMLText.show(shown)
        return
      }
      let instance = try ConfigCommand.read(name, project)
      let shown: [String: JSONValue] = [
        "config": try JSONValue(encoding: instance.config),
        "devices": try JSONValue(encoding: expanded ? instance.expandedDevices : instance.devices),
      ]
      try YAMLText.show(shown)
    }
  }

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show one key's value.")

    @Argument(help: "[NAME] KEY", completion: InstanceCompletion.names) var words: [String]
    @OptionGroup var project: ProjectOption

    func validate() throws {
      if !(1...2).contains(words.count) {
        throw ValidationError("give an instance's name and a key, or a key")
      }
    }

    func run() throws {
      let config =
        try words.count == 1 ? ConfigCommand.daemon() : ConfigCommand.read(words[0], project).config
      print(config[words[words.count - 1]] ?? "")
    }
  }

  struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Set keys: volary config set web limits.cpu=2")

    @Argument(help: "[NAME] KEY=VALUE...", completion: InstanceCompletion.names) var words: [String]
    @OptionGroup var project: ProjectOption

    func validate() throws {
      if words.first?.contains("=") == false, words.count < 2 { throw ValidationError("give KEY=VALUE") }
    }

    func run() throws {
      // Names of instances have no equals sign.
      let name = words.first.flatMap { $0.contains("=") ? nil : $0 }
      try ConfigCommand.change(name, try Settings.read(Array(words.dropFirst(name == nil ? 0 : 1))), project)
    }
  }

  struct Unset: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take keys away.")

    @Argument(help: "[NAME] KEY...", completion: InstanceCompletion.names) var words: [String]
    @OptionGroup var project: ProjectOption

    func run() throws {
      // Names of instances have no dot, keys have one.
      let name = words.first.flatMap { $0.contains(".") ? nil : $0 }
      let keys = words.dropFirst(name == nil ? 0 : 1)
      try ConfigCommand.change(
        name, Dictionary(keys.map { ($0, "") }, uniquingKeysWith: { first, _ in first }), project)
    }
  }

  private static func read(_ name: String, _ project: ProjectOption) throws -> InstanceObject {
    let (path, query) = ("/1.0/instances/\(APIEndpoint.escaped(name))", project.query)
    return try Daemon.run { try await $0.get(path, query: query) }
  }

  private static func daemon() throws -> [String: String] {
    let server: ServerObject = try Daemon.run { try await $0.get("/1.0") }
    return server.config ?? [:]
  }

  /// Of an instance, or without a name of the daemon.
  private static func change(_ name: String?, _ config: [String: String], _ project: ProjectOption) throws {
    guard let name else {
      try Daemon.run { client in _ = try await client.patch("/1.0", ServerPut(config: config)) }
      return
    }
    let (path, query) = ("/1.0/instances/\(APIEndpoint.escaped(name))", project.query)
    try Daemon.run { client in _ = try await client.patch(path, query: query, InstancePut(config: config)) }
  }
}
