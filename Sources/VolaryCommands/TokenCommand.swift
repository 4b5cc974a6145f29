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
        expiresIn: try expires.map(seconds),
        joins: client)
      let made: TokenMade = try Daemon.run { try await $0.post("/1.0/tokens", body).metadata() }
      print(made.token)
    }

    private func seconds(_ text: String) throws -> Int64 {
      let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
      let unit = text.last.flatMap { units[$0] }
      guard let count = Int64(unit == nil ? text[...] : text.dropLast()), count > 0, count < 1 << 32 else {
        throw VolaryError(.usage, "`\(text)` is no time; it is a number with s, m, h or d")
      }
      return count * (unit ?? 1)
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
