/// A bearer token (RFC 6750), without its secret: the daemon keeps only a hash of that.
package struct TokenObject: Codable, Equatable, Sendable {
  package let name: String
  /// What its bearer may do: admin, operator, user or monitor.
  package let role: String
  /// The projects that it is limited to; null for all.
  package let projects: [String]?
  /// Whether it lets a client's certificate in, once, and is good for nothing else.
  package let joins: Bool
  package let createdAt: Timestamp
  package let expiresAt: Timestamp?
  package let lastUsedAt: Timestamp?

  private enum CodingKeys: String, CodingKey {
    case name, role, projects, joins
    case createdAt = "created_at"
    case expiresAt = "expires_at"
    case lastUsedAt = "last_used_at"
  }

  package init(
    name: String, role: String, projects: [String]?, joins: Bool, createdAt: Timestamp,
    expiresAt: Timestamp?, lastUsedAt: Timestamp?
  ) {
    self.name = name
    self.role = role
    self.projects = projects
    self.joins = joins
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.lastUsedAt = lastUsedAt
  }
}

/// What a new token is asked for with.
package struct TokensPost: Codable, Sendable {
  package let name: String
  /// `user` when it is not there.
  package let role: String?
  /// None for all projects.
  package let projects: [String]?
  /// Seconds until it is good no more; none for never, a day for one that joins.
  package let expiresIn: Int64?
  package let joins: Bool?

  private enum CodingKeys: String, CodingKey {
    case name, role, projects, joins
    case expiresIn = "expires_in"
  }

  package init(
    name: String, role: String? = nil, projects: [String]? = nil, expiresIn: Int64? = nil, joins: Bool? = nil
  ) {
    self.name = name
    self.role = role
    self.projects = projects
    self.expiresIn = expiresIn
    self.joins = joins
  }
}

/// A new token's secret, which is shown this once.
package struct TokenMade: Codable, Equatable, Sendable {
  package let name: String
  package let token: String

  package init(name: String, token: String) {
    self.name = name
    self.token = token
  }
}

/// A client that is known by its certificate (Incus's api.Certificate).
package struct CertificateObject: Codable, Equatable, Sendable {
  package let name: String
  /// `client`.
  package let type: String
  /// PEM.
  package let certificate: String
  /// SHA-256 of the certificate's DER form, in hexadecimal digits.
  package let fingerprint: String
  package let restricted: Bool
  package let projects: [String]
  package let role: String
  package let description: String

  package init(
    name: String, certificate: String, fingerprint: String, restricted: Bool, projects: [String], role: String
  ) {
    self.name = name
    type = "client"
    self.certificate = certificate
    self.fingerprint = fingerprint
    self.restricted = restricted
    self.projects = projects
    self.role = role
    description = ""
  }
}

/// What lets a client in: from one that is not known yet, with a `trust_token` and the certificate of its
/// connection; from an administrator, with the certificate itself, or with `token` for a token that joins.
package struct CertificatesPost: Codable, Sendable {
  package let name: String?
  package let type: String?
  /// DER in base64.
  package let certificate: String?
  package let restricted: Bool?
  package let projects: [String]?
  package let trustToken: String?
  package let token: Bool?

  private enum CodingKeys: String, CodingKey {
    case name, type, certificate, restricted, projects, token
    case trustToken = "trust_token"
  }
}

/// What a token that joins says, in base64 of JSON: where the daemon is and how it is known.
package struct JoinToken: Codable, Equatable, Sendable {
  package let clientName: String
  /// Of the daemon's certificate.
  package let fingerprint: String
  package let addresses: [String]
  package let secret: String
  package let expiresAt: Timestamp

  private enum CodingKeys: String, CodingKey {
    case fingerprint, addresses, secret
    case clientName = "client_name"
    case expiresAt = "expires_at"
  }

  package init(
    clientName: String, fingerprint: String, addresses: [String], secret: String, expiresAt: Timestamp
  ) {
    self.clientName = clientName
    self.fingerprint = fingerprint
    self.addresses = addresses
    self.secret = secret
    self.expiresAt = expiresAt
  }
}

/// The daemon's own configuration: with PUT all of it, with PATCH what is named. An empty value takes a key away.
package struct ServerPut: Codable, Sendable {
  package let config: [String: String]?

  package init(config: [String: String]?) { self.config = config }
}
