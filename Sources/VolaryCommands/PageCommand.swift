internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary page`: prints an address of the web page that signs in.
struct PageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "page", abstract: "Print an address that opens the web page, signed in.",
    discussion: """
      The address holds a token that is good for 12 hours, or for as long as --expires says. Where the daemon
      does not listen on the network yet, it is told to, for browsers on this host alone.
      """)

  private static let key = "core.https_address"
  /// Where it listens when nobody has said where: on this host alone; if the first is taken, at any port.
  private static let usualAddresses = ["127.0.0.1:8443", "127.0.0.1:0"]
  private static let tokenPrefix = "page-"

  @Option(help: "What the page may do: monitor, user, operator or admin.") var role = "admin"
  @Option(help: "A project that it is limited to; again for more.") var project: [String] = []
  @Option(help: "How long the address is good: 30m, 12h, 7d or seconds.") var expires = "12h"

  func run() throws {
    let (role, projects) = (role, project.isEmpty ? nil : project)
    let seconds = try Seconds.read(expires)
    let (base, news) = try Daemon.run { client -> (String, String?) in
      let (address, news) = try await Self.address(client)
      try await Self.forgetOld(client)
      let name = Self.tokenPrefix + String(UInt32.random(in: 0...UInt32.max), radix: 16)
      let body = TokensPost(name: name, role: role, projects: projects, expiresIn: seconds)
      let made: TokenMade = try await client.post("/1.0/tokens", body).metadata()
      return ("https://\(address)/ui/#token=\(made.token)", news)
    }
    if let news { FileHandle.standardError.write(Data((news + "\n").utf8)) }
    print(base)
  }

  /// Where browsers find the daemon, and what was changed for that.
  private static func address(_ client: APIClient) async throws -> (String, news: String?) {
    var server: ServerObject = try await client.get("/1.0")
    var isNew = false
    if server.config?[key].map(\.isEmpty) ?? true {
      try await listen(client)
      server = try await client.get("/1.0")
      isNew = true
    }
    guard let address = server.environment?.addresses.first else {
      throw APIError(
        .conflict, "the daemon does not listen at \(server.config?[key] ?? "any address")",
        wayOut: "volary config set \(key)=\(usualAddresses[0])")
    }
    let fingerprint = server.environment?.certificateFingerprint ?? ""
    let certificate =
      "the browser does not know the daemon's certificate; its SHA-256 fingerprint is \(fingerprint)"
    return (
      address,
      (isNew ? "\(key) is set to \(server.config?[key] ?? ""): this host alone reaches it\n" : "")
        + certificate
    )
  }

  private static func listen(_ client: APIClient) async throws {
    for address in usualAddresses {
      let body = try APICoding.encode(ServerPut(config: [key: address]))
      // What goes wrong with all of them is told by the address that is missing then.
      if try await client.raw("PATCH", "/1.0", body: body).status == 200 { return }
    }
  }

  /// Takes away the tokens of earlier addresses that are good no more.
  private static func forgetOld(_ client: APIClient) async throws {
    let tokens: [TokenObject] = try await client.get("/1.0/tokens", query: [("recursion", "1")])
    for token in tokens where token.name.hasPrefix(tokenPrefix) {
      guard let expiry = token.expiresAt, expiry < .now else { continue }
      // Another command may have been faster.
      _ = try? await client.delete("/1.0/tokens/\(APIEndpoint.escaped(token.name))")
    }
  }
}
