internal import Foundation
internal import GRDB
internal import NIOSSL
package import VolaryAPI

/// `/1.0/tokens` and `/1.0/certificates`: who may come in over the network.
struct AccessRoutes: RouteGroup {
  /// Seconds for which a token that joins is good when nobody says otherwise.
  private static let joinLifetime: Int64 = 86_400
  /// Ten years.
  private static let longestLifetime: Int64 = 315_360_000

  let store: Store
  let events: Events
  let listener: NetworkListener

  let apiExtensions = ["certificate_token", "certificate_project", "access_tokens"]

  var routes: [Route] { tokenRoutes + certificateRoutes }

  private var tokenRoutes: [Route] {
    [
      .list(
        "/1.0/tokens", "Tokens", right: .administer,
        pathOf: { (token: TokenObject) in "/1.0/tokens/\(APIEndpoint.escaped(token.name))" }
      ) { _ in
        try await store.read { try TokenRecord.order(TokenRecord.CodingKeys.name).fetchAll($0).map(\.object) }
      },
      Route(
        .post, "/1.0/tokens", "Make a token; the answer holds its secret, this once", right: .administer,
        request: TokensPost.self, answer: .object(TokenMade.self),
        action: .respond { call in
          let body = try call.decode(TokensPost.self)
          let token = try await makeToken(body, call)
          return try .sync(TokenMade(name: body.name, token: token))
        }),
      .get("/1.0/tokens/{name}", "One token", right: .administer) { call in
        try await store.read { try Self.token($0, call["name"]).object }
      },
      .change(.delete, "/1.0/tokens/{name}", "Delete a token: it is good no more", right: .administer) {
        call in
        _ = try await store.write { try Self.token($0, call["name"]).delete($0) }
        await tell("token-deleted", "/1.0/tokens/\(call["name"])", call)
      },
    ]
  }

  private var certificateRoutes: [Route] {
    [
      .list(
        "/1.0/certificates", "Clients that are known by their certificates", right: .administer,
        pathOf: { (certificate: CertificateObject) in "/1.0/certificates/\(certificate.fingerprint)" }
      ) { _ in
        try await store.read {
          try CertificateRecord.order(CertificateRecord.CodingKeys.name).fetchAll($0).map(\.object)
        }
      },
      // Whoever has a token that joins may use it: it is looked at within.
      Route(
        .post, "/1.0/certificates", "Let a client in, or ask for a token that does", right: .anyone,
        request: CertificatesPost.self, answer: .made, action: .respond { try await join($0) }),
      .get("/1.0/certificates/{fingerprint}", "One client's certificate", right: .administer) { call in
        try await store.read { try Self.certificate($0, call["fingerprint"]).object }
      },
      .change(
        .delete, "/1.0/certificates/{fingerprint}", "Let a client in no more", right: .administer
      ) { call in
        _ = try await store.write { try Self.certificate($0, call["fingerprint"]).delete($0) }
        await tell("certificate-deleted", "/1.0/certificates/\(call["fingerprint"])", call)
      },
    ]
  }

  // MARK: - Tokens

  /// Makes a token and returns what is shown of it.
  private func makeToken(_ body: TokensPost, _ call: Call) async throws -> String {
    try Self.checkName(body.name)
    guard let role = Role(rawValue: body.role ?? Role.user.rawValue) else {
      let roles = Role.allCases.map(\.rawValue).joined(separator: ", ")
      throw APIError.invalid("`role` has to be one of \(roles)")
    }
    let joins = body.joins ?? false
    let seconds = body.expiresIn ?? (joins ? Self.joinLifetime : nil)
    if let seconds, !(1...Self.longestLifetime).contains(seconds) {
      throw APIError.invalid("`expires_in` has to be 1 to \(Self.longestLifetime) seconds")
    }
    let now = Timestamp.now
    let expiry = seconds.map { now.advanced(seconds: $0) }
    let secret = Authentication.newSecret()
    let shown = joins ? try await joinToken(body.name, secret, expiresAt: expiry ?? now).text : secret
    let record = TokenRecord(
      id: UUID().uuidString.lowercased(), name: body.name, hash: Authentication.hash(secret), role: role,
      projects: body.projects.flatMap { $0.isEmpty ? nil : $0 }, joins: joins, createdAt: now,
      expiresAt: expiry, lastUsedAt: nil)
    try await store.write { database in
      try Self.checkProjects(record.projects, database)
      // One that is good no more gives its name free.
      let old = try TokenRecord.filter(TokenRecord.CodingKeys.name == record.name).fetchOne(database)
      if let old {
        guard !old.isGood(at: now) else {
          throw APIError.conflict("there is a token `\(record.name)` already")
        }
        try old.delete(database)
      }
      try record.insert(database)
    }
    await tell("token-created", "/1.0/tokens/\(record.name)", call)
    return shown
  }

  private func joinToken(_ name: String, _ secret: String, expiresAt: Timestamp) async throws -> JoinToken {
    let addresses = await listener.addresses
    guard let certificate = await listener.certificate, !addresses.isEmpty else {
      throw APIError.conflict(
        "the daemon does not listen on the network, so no client can join",
        wayOut: "volary config set core.https_address=:8443")
    }
    return JoinToken(
      clientName: name, fingerprint: certificate.fingerprint, addresses: addresses, secret: secret,
      expiresAt: expiresAt)
  }

  // MARK: - Certificates

  private func join(_ call: Call) async throws -> Reply {
    let body = try call.decode(CertificatesPost.self)
    // Incus's client sends what it leaves out as empty.
    guard ["", "client"].contains(body.type ?? "") else {
      throw APIError.invalid("`type` has to be client; Volary knows no other kind of certificate")
    }
    if let token = body.trustToken, !token.isEmpty { return try await join(with: token, body, call) }
    try Right.administer.check(call.identity)
    let projects = try Self.projects(body)
    if body.token == true {
      guard let name = body.name, !name.isEmpty else { throw APIError.invalid("`name` is missing") }
      return try await beginJoining(name, projects, call)
    }
    let shown = try Self.shown(body, call)
    return try await admit(shown, body.name, role: projects == nil ? .admin : .operator, projects, call)
  }

  /// A client that nobody knows, with a token that an administrator gave it.
  private func join(with text: String, _ body: CertificatesPost, _ call: Call) async throws -> Reply {
    let secret = JoinToken(text: text)?.secret ?? text
    let shown = try Self.shown(body, call)
    let (hash, now) = (Authentication.hash(secret), Timestamp.now)
    let token = try await store.write { database -> TokenRecord in
      let found = try TokenRecord.filter(TokenRecord.CodingKeys.hash == hash).fetchOne(database)
      guard let found, found.joins, found.isGood(at: now) else {
        throw APIError.denied("this token is not known, or good no more")
      }
      // It is good once.
      try found.delete(database)
      try Self.insert(shown, found.name, role: found.role, found.projects, database)
      return found
    }
    await tell("certificate-created", "/1.0/certificates/\(shown.fingerprint)", call, name: token.name)
    return .made("/1.0/certificates/\(shown.fingerprint)")
  }

  /// Incus's way to a token: an operation whose metadata holds it. It is over at once, and nobody remembers it,
  /// because operations are there for all to see.
  private func beginJoining(_ name: String, _ projects: [String]?, _ call: Call) async throws -> Reply {
    let role: Role = projects == nil ? .admin : .operator
    let text = try await makeToken(
      TokensPost(name: name, role: role.rawValue, projects: projects, joins: true), call)
    guard let token = JoinToken(text: text) else { throw APIError(.failed, "the token cannot be read back") }
    var operation = OperationObject(
      id: UUID().uuidString.lowercased(), class: .token, description: "Letting a client in", project: nil,
      mayCancel: false)
    operation.metadata = [
      "secret": .string(token.secret), "fingerprint": .string(token.fingerprint),
      "addresses": .array(token.addresses.map { .string($0) }),
      "request": .object(["name": .string(name)]), "expiresAt": .string(token.expiresAt.description),
    ]
    return try .begun(operation)
  }

  private func admit(
    _ shown: ClientCertificate, _ name: String?, role: Role, _ projects: [String]?, _ call: Call
  ) async throws -> Reply {
    let name = name.flatMap { $0.isEmpty ? nil : $0 } ?? String(shown.fingerprint.prefix(12))
    try Self.checkName(name)
    try await store.write { try Self.insert(shown, name, role: role, projects, $0) }
    await tell("certificate-created", "/1.0/certificates/\(shown.fingerprint)", call)
    return .made("/1.0/certificates/\(shown.fingerprint)")
  }

  private static func insert(
    _ shown: ClientCertificate, _ name: String, role: Role, _ projects: [String]?, _ database: Database
  ) throws {
    if try CertificateRecord.exists(database, key: shown.fingerprint) {
      throw APIError.conflict("this certificate is known already")
    }
    try checkProjects(projects, database)
    try CertificateRecord(
      fingerprint: shown.fingerprint, name: name, certificate: shown.pem, role: role, projects: projects,
      createdAt: .now
    ).insert(database)
  }

  // MARK: - Details

  private func tell(_ action: String, _ source: String, _ call: Call, name: String? = nil) async {
    await events.lifecycle(
      action, source: source, project: nil, requestor: call.identity,
      context: name.map { ["name": .string($0)] } ?? [:])
  }

  private static func token(_ database: Database, _ name: String) throws -> TokenRecord {
    guard let record = try TokenRecord.filter(TokenRecord.CodingKeys.name == name).fetchOne(database) else {
      throw APIError.notFound("there is no token `\(name.prefix(63))`")
    }
    return record
  }

  /// By the whole fingerprint, or by a beginning of 12 digits and more that is one's alone.
  private static func certificate(_ database: Database, _ fingerprint: String) throws -> CertificateRecord {
    let digits = fingerprint.lowercased()
    if digits.utf8.count >= 12, digits.allSatisfy(\.isHexDigit) {
      let found = try CertificateRecord.filter(CertificateRecord.CodingKeys.fingerprint.like(digits + "%"))
        .limit(2).fetchAll(database)
      if let only = found.first, found.count == 1 { return only }
    }
    throw APIError.notFound("there is no certificate `\(fingerprint.prefix(64))`")
  }

  /// The certificate that is named, or the one of the connection.
  private static func shown(_ body: CertificatesPost, _ call: Call) throws(APIError) -> ClientCertificate {
    if let text = body.certificate, !text.isEmpty { return try read(text) }
    guard case .network(_, let certificate?) = call.peer else {
      throw .invalid("`certificate` is missing, and the connection shows none")
    }
    return certificate
  }

  private static func read(_ base64: String) throws(APIError) -> ClientCertificate {
    guard let der = Data(base64Encoded: base64),
      let certificate = try? NIOSSLCertificate(bytes: Array(der), format: .der),
      let shown = ClientCertificate(certificate)
    else { throw .invalid("`certificate` has to be the base64 of a certificate in DER form") }
    return shown
  }

  /// Nil for all.
  private static func projects(_ body: CertificatesPost) throws(APIError) -> [String]? {
    let projects = body.projects ?? []
    if body.restricted == true, projects.isEmpty {
      throw .invalid("who is restricted needs `projects`, one at least")
    }
    return body.restricted == true || !projects.isEmpty ? projects : nil
  }

  private static func checkProjects(_ projects: [String]?, _ database: Database) throws {
    for project in projects ?? [] where try !ProjectRecord.exists(database, key: project) {
      throw APIError.notFound("there is no project `\(project.prefix(63))`")
    }
  }

  private static func checkName(_ name: String) throws(APIError) {
    let isName = name.unicodeScalars.allSatisfy {
      $0.isASCII
        && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.@".unicodeScalars.contains($0))
    }
    guard isName, (1...63).contains(name.utf8.count) else {
      throw .invalid("a name has 1 to 63 letters, digits, - _ . or @")
    }
  }
}

extension JoinToken {
  var text: String {
    get throws { try APICoding.encode(self).base64EncodedString() }
  }

  package init?(text: String) {
    guard let data = Data(base64Encoded: text), let token = try? APICoding.decode(JoinToken.self, from: data)
    else { return nil }
    self = token
  }
}
