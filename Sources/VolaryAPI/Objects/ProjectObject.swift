/// A tenant, as the API shows it (Incus's api.Project).
package struct ProjectObject: Codable, Equatable, Sendable {
  package let name: String
  package var description: String
  package var config: [String: String]
  /// Paths of what is in it.
  package var usedBy: [String]

  private enum CodingKeys: String, CodingKey {
    case name, description, config
    case usedBy = "used_by"
  }

  package init(name: String, description: String, config: [String: String], usedBy: [String] = []) {
    self.name = name
    self.description = description
    self.config = config
    self.usedBy = usedBy
  }
}

/// What a new project is asked for with.
package struct ProjectsPost: Codable, Sendable {
  package let name: String
  package let description: String?
  package let config: [String: String]?

  package init(name: String, description: String? = nil, config: [String: String]? = nil) {
    self.name = name
    self.description = description
    self.config = config
  }
}

/// What a project is changed to: with PUT all of it, with PATCH what is named. A key of `config` with an
/// empty value is taken away.
package struct ProjectPut: Codable, Sendable {
  package let description: String?
  package let config: [String: String]?

  package init(description: String? = nil, config: [String: String]? = nil) {
    self.description = description
    self.config = config
  }
}
