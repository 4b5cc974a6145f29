/// Configuration and devices that instances share, as the API shows it (Incus's api.Profile).
package struct ProfileObject: Codable, Equatable, Sendable {
  package let name: String
  package var description: String
  package var config: [String: String]
  package var devices: [String: [String: String]]
  package var project: String
  /// Paths of the instances that have it.
  package var usedBy: [String]

  private enum CodingKeys: String, CodingKey {
    case name, description, config, devices, project
    case usedBy = "used_by"
  }

  package init(
    name: String, description: String, config: [String: String], devices: [String: [String: String]],
    project: String, usedBy: [String] = []
  ) {
    self.name = name
    self.description = description
    self.config = config
    self.devices = devices
    self.project = project
    self.usedBy = usedBy
  }
}

/// What a new profile is asked for with.
package struct ProfilesPost: Codable, Sendable {
  package let name: String
  package let description: String?
  package let config: [String: String]?
  package let devices: [String: [String: String]]?

  package init(
    name: String, description: String? = nil, config: [String: String]? = nil,
    devices: [String: [String: String]]? = nil
  ) {
    self.name = name
    self.description = description
    self.config = config
    self.devices = devices
  }
}

/// What a profile is changed to: with PUT all of it, with PATCH what is named. With PATCH a key of `config` with an
/// empty value, and a device without any, is taken away.
package struct ProfilePut: Codable, Sendable {
  package let description: String?
  package let config: [String: String]?
  package let devices: [String: [String: String]]?

  package init(
    description: String? = nil, config: [String: String]? = nil, devices: [String: [String: String]]? = nil
  ) {
    self.description = description
    self.config = config
    self.devices = devices
  }
}

/// A new name for a profile.
package struct ProfilePost: Codable, Sendable {
  package let name: String

  package init(name: String) { self.name = name }
}
