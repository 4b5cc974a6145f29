internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// What the commands share that change what instances do.
struct InstanceNames: ParsableArguments {
  @Argument(help: "The instances.", completion: InstanceCompletion.names)
  var names: [String] = []

  @Flag(help: "All instances of the project.")
  var all = false

  @OptionGroup var project: ProjectOption

  func validate() throws {
    if names.isEmpty != all { throw ValidationError("Name instances, or give --all.") }
  }

  /// Does the same with each of them at once; what fails is told when all is done.
  func forEach(
    fitting: @escaping @Sendable (InstanceObject) -> Bool = { _ in true },
    _ body: @escaping @Sendable (APIClient, String) async throws -> Void
  ) throws {
    let (query, given) = (project.query, all ? nil : names)
    let failures = try Daemon.run { client in
      let names: [String]
      if let given {
        names = given
      } else {
        let all = try await client.get(
          "/1.0/instances", query: query + [("recursion", "1")], as: [InstanceObject].self)
        names = all.filter(fitting).map(\.name)
      }
      return await withTaskGroup(of: VolaryError?.self) { group in
        for name in names {
          group.addTask {
            do { try await body(client, name) } catch let error as APIError {
              return VolaryError(error)
            } catch {
              return error as? VolaryError ?? VolaryError("\(error)")
            }
            return nil
          }
        }
        return await group.reduce(into: [VolaryError]()) { failures, failure in
          if let failure { failures.append(failure) }
        }
      }
    }
    guard let last = failures.last else { return }
    for failure in failures.dropLast() { FileHandle.standardError.write(Data((failure.report + "\n").utf8)) }
    throw last
  }

  /// Has the daemon change the state of each.
  func change(
    _ put: InstanceStatePut, fitting: @escaping @Sendable (InstanceObject) -> Bool
  ) throws {
    let query = project.query
    try forEach(fitting: fitting) { client, name in
      try await client.change(name, put, query: query)
    }
  }
}

extension APIClient {
  func change(_ name: String, _ put: InstanceStatePut, query: [(String, String)]) async throws {
    try await follow(
      try await self.put("/1.0/instances/\(APIEndpoint.escaped(name))/state", query: query, put))
  }
}

struct StartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "start", abstract: "Start instances.")

  @OptionGroup var instances: InstanceNames

  @Flag(help: "Begin anew, also where 'volary stop --stateful' has kept the machine.")
  var stateless = false

  func run() throws {
    try instances.change(.init(action: .start, stateful: stateless ? false : nil)) {
      $0.statusCode == .stopped
    }
  }
}

/// How an instance is to end.
struct EndOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How long the guest has to end by itself.", valueName: "seconds"))
  var timeout = 30

  @Flag(name: .shortAndLong, help: "Cut the power.")
  var force = false

  /// Asks the guest first, and cuts the power when it has had its time.
  func end(_ client: APIClient, _ name: String, _ action: InstanceStatePut.Action, query: [(String, String)])
    async throws
  {
    do {
      try await client.change(name, .init(action: action, timeout: timeout, force: force), query: query)
    } catch let error as APIError where error.code == .timedOut && !force {
      FileHandle.standardError.write(Data("volary: \(error.message): its power is cut\n".utf8))
      try await client.change(name, .init(action: action, force: true), query: query)
    }
  }
}

struct StopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop", abstract: "Stop instances: ask the guest, wait, then cut the power.")

  @OptionGroup var instances: InstanceNames
  @OptionGroup var ending: EndOptions

  @Flag(help: "Keep memory and devices: the next start goes on where this stops.")
  var stateful = false

  func run() throws {
    let (ending, stateful, query) = (ending, stateful, instances.project.query)
    try instances.forEach(fitting: { $0.statusCode != .stopped }) { client, name in
      if stateful {
        return try await client.change(name, .init(action: .stop, stateful: true), query: query)
      }
      try await ending.end(client, name, .stop, query: query)
    }
  }
}

struct RestartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart", abstract: "Stop instances and start them again.")

  @OptionGroup var instances: InstanceNames
  @OptionGroup var ending: EndOptions

  func run() throws {
    let (ending, query) = (ending, instances.project.query)
    try instances.forEach(fitting: { $0.statusCode != .stopped }) { client, name in
      try await ending.end(client, name, .restart, query: query)
    }
  }
}

struct PauseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Have instances stand still.")

  @OptionGroup var instances: InstanceNames

  func run() throws { try instances.change(.init(action: .freeze)) { $0.statusCode == .running } }
}

struct ResumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Have paused instances go on.")

  @OptionGroup var instances: InstanceNames

  func run() throws { try instances.change(.init(action: .unfreeze)) { $0.statusCode == .frozen } }
}

struct DeleteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete instances and their disks.", aliases: ["rm"])

  @OptionGroup var instances: InstanceNames

  @Flag(name: .shortAndLong, help: "Those that run too: their power is cut.")
  var force = false

  func run() throws {
    let (force, query) = (force, instances.project.query)
    try instances.forEach { client, name in
      let path = "/1.0/instances/\(APIEndpoint.escaped(name))"
      if force {
        let instance = try await client.get(path, query: query, as: InstanceObject.self)
        if instance.statusCode != .stopped {
          do {
            try await client.change(name, .init(action: .stop, force: true), query: query)
          } catch let error as APIError where error.code == .conflict || error.code == .notFound {
            // It has ended by itself meanwhile.
          }
        }
      }
      do { try await client.follow(try await client.delete(path, query: query)) } catch let error as APIError
      {
        // One that was ephemeral has gone with its end.
        if !(force && error.code == .notFound) { throw error }
      }
    }
  }
}

struct RenameCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rename", abstract: "Give an instance another name.", aliases: ["move", "mv"])

  @Argument(completion: InstanceCompletion.names) var name: String
  @Argument var newName: String
  @OptionGroup var project: ProjectOption

  func run() throws {
    let (name, new, query) = (name, newName, project.query)
    try Daemon.run { client in
      _ = try await client.post(
        "/1.0/instances/\(APIEndpoint.escaped(name))", query: query, InstancePost(name: new))
    }
  }
}
