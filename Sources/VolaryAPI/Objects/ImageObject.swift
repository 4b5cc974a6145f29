/// An image that instances are made from, as the API shows it (Incus's api.Image).
package struct ImageObject: Codable, Equatable, Sendable {
  package struct Alias: Codable, Equatable, Sendable {
    package let name: String
    package let description: String

    package init(name: String) {
      self.name = name
      description = ""
    }
  }

  /// SHA-256 of its record, in hexadecimal digits: another build of the same name is another image.
  package let fingerprint: String
  package let aliases: [Alias]
  /// Of the guest, in the kernel's words.
  package let architecture: String
  package let type: InstanceType
  package let filename: String
  /// Bytes that it takes on the host.
  package let size: Int64
  package let properties: [String: String]
  package let project: String
  package let profiles: [String]
  package let `public`: Bool
  package let cached: Bool
  package let autoUpdate: Bool
  package let createdAt: Timestamp
  package let uploadedAt: Timestamp
  package let expiresAt: Timestamp
  package let lastUsedAt: Timestamp

  private enum CodingKeys: String, CodingKey {
    case fingerprint, aliases, architecture, type, filename, size, properties, project, profiles, cached
    case `public`
    case autoUpdate = "auto_update"
    case createdAt = "created_at"
    case uploadedAt = "uploaded_at"
    case expiresAt = "expires_at"
    case lastUsedAt = "last_used_at"
  }

  package init(
    fingerprint: String, aliases: [String], architecture: String, size: Int64, properties: [String: String],
    createdAt: Timestamp
  ) {
    self.fingerprint = fingerprint
    self.aliases = aliases.map { Alias(name: $0) }
    self.architecture = architecture
    type = .virtualMachine
    filename = ""
    self.size = size
    self.properties = properties
    project = "default"
    profiles = []
    `public` = false
    cached = false
    autoUpdate = false
    self.createdAt = createdAt
    uploadedAt = createdAt
    expiresAt = .never
    lastUsedAt = .never
  }
}

/// A name that stands for an image (Incus's api.ImageAliasesEntry).
package struct ImageAliasObject: Codable, Equatable, Sendable {
  package let name: String
  package let description: String
  package let type: InstanceType
  /// The image's fingerprint.
  package let target: String

  package init(name: String, target: String) {
    self.name = name
    description = ""
    type = .virtualMachine
    self.target = target
  }
}
