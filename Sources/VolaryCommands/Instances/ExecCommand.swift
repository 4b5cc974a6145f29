internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary exec`.
struct ExecCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run a command in an instance; its exit code becomes this one's.",
    discussion: """
      volary exec web -- apt-get install -y nginx
      volary exec web --user 1000 --cwd /srv -- ./deploy < release.tar
      """)

  @Argument(help: "The instance.", completion: InstanceCompletion.names)
  var name: String

  @OptionGroup var options: ExecOptions
  @OptionGroup var project: ProjectOption

  @Argument(
    parsing: .postTerminator, help: "The command and its arguments, behind --; a login shell without.")
  var command: [String] = []

  func run() throws {
    throw ExitCode(try options.run(command, in: name, query: project.query))
  }
}

/// `volary shell`.
struct ShellCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shell",
    abstract: "A shell in an instance, which is started if need be; in `default` without a name.",
    discussion: "The instance `default` is made from debian/13 when it is first wanted.")

  /// The instance that is meant when none is named, and what it is made from.
  static let usual = (name: "default", image: "debian/13")

  @Argument(help: "The instance.", completion: InstanceCompletion.names)
  var name: String?

  @OptionGroup var options: ExecOptions
  @OptionGroup var project: ProjectOption

  @Argument(parsing: .postTerminator, help: "A command in place of the shell, behind --.")
  var command: [String] = []

  func run() throws {
    let name = name ?? Self.usual.name
    try start(name)
    throw ExitCode(try options.run(command, in: name, query: project.query))
  }

  /// Has the instance run.
  private func start(_ name: String) throws {
    let query = project.query
    let mayMake = self.name == nil
    try Daemon.run { client in
      let path = "/1.0/instances/\(APIEndpoint.escaped(name))"
      let instance: InstanceObject
      do { instance = try await client.get(path, query: query) } catch let error as APIError {
        guard mayMake, error.code == .notFound else { throw error }
        let post = InstancesPost(name: name, source: InstanceSource(alias: Self.usual.image), start: true)
        return _ = try await client.follow(try await client.post("/1.0/instances", query: query, post))
      }
      switch instance.statusCode {
      case .running: return
      case .frozen:
        try await client.follow(
          try await client.put(path + "/state", query: query, InstanceStatePut(action: .unfreeze)))
      default:
        try await client.follow(
          try await client.put(path + "/state", query: query, InstanceStatePut(action: .start)))
      }
    }
  }
}

/// How a command is run in a guest.
struct ExecOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The directory in the guest; the user's home without.", valueName: "path"))
  var cwd: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("A variable of its environment; again for more.", valueName: "key=value"))
  var env: [String] = []

  @Option(help: ArgumentHelp("The user's number in the guest; root without.", valueName: "number"))
  var user: UInt32?

  @Flag(
    name: [.customShort("t"), .long], inversion: .prefixedNo, help: "With a terminal; as it is here without.")
  var tty: Bool?

  func run(_ command: [String], in name: String, query: [(String, String)]) throws -> Int32 {
    let hasTerminal = isatty(0) == 1 && isatty(1) == 1
    var environment = try Settings.read(env)
    let isInteractive = tty ?? hasTerminal
    if isInteractive, let term = ProcessInfo.processInfo.environment["TERM"] {
      environment.merge(["TERM": term]) { own, _ in own }
    }
    let post = InstanceExecPost(
      command: command, environment: environment, interactive: isInteractive, user: user, cwd: cwd)
    return try GuestProgram(post, in: name, query: query).run()
  }
}
