internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary token`.
struct TokenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Let people and programs in over the network.",
    subcommands: [Create.self, List.self, Delete.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a token and print it. It is shown this once.",
      discussion: """
        A token is sent as `Authorization: Bearer TOKEN`. With --client it lets a client's certificate in, once:
          volary config set core.https_address=:8443
          volary token create laptop --client --role admin
          incus remote add NAME TOKEN        (on the laptop)
        """)

    @Argument(help: "What it is for.") var name: String
    @Option(help: "What its bearer may do: monitor, user, operator or admin.") var role = "user"
    @Option(help: "A project that it is limited to; again for more.") var project: [String] = []
    @Option(help: "How long it is good: 30m, 12h, 7d or seconds.") var expires: String?
    @Flag(help: "For a client that is known by its certificate from then on.") var client = false

    func run() throws {
      let body = TokensPost(
        name: name, role: role, projects: project.isEmpty ? nil : project,
        expiresIn: try expires.map(Seconds.read),
        joins: client)
      let made: TokenMade = try Daemon.run { try await $0.post("/1.0/tokens", body).metadata() }
      print(made.token)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List tokens.", aliases: ["ls"])

    @OptionGroup var format: FormatOption

    func run() throws {
      let tokens: [TokenObject] = try Daemon.run {
        try await $0.get("/1.0/tokens", query: [("recursion", "1")])
      }
      let table = TextTable(
        titles: ["NAME", "ROLE", "PROJECTS", "KIND", "EXPIRES", "LAST USED"], objects: tokens,
        encoder: APICoding.prettyEncoder
      ) { token in
        [
          token.name, token.role, token.projects?.joined(separator: ",") ?? "all",
          token.joins ? "CLIENT" : "BEARER", token.expiresAt?.description ?? "never",
          token.lastUsedAt?.description ?? "never",
        ]
      }
      try format.show(table)
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete tokens: they are good no more.", aliases: ["rm"])

    @Argument var names: [String]

    func run() throws {
      let names = names
      try Daemon.run { client in
        for name in names { _ = try await client.delete("/1.0/tokens/\(APIEndpoint.escaped(name))") }
      }
    }
  }
}
