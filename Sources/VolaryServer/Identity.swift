package import VolaryAPI

/// Who asks.
package struct Identity: Equatable, Sendable {
  package enum Method: Equatable, Sendable {
    /// By the Unix socket: the kernel says which user's process is at the other end (unix(7), SO_PEERCRED).
    case unix(user: UInt32)
    case token(id: String)
    case certificate(fingerprint: String)
  }

  /// For the audit log.
  package let name: String
  package let role: Role
  /// The projects that it is limited to; nil for all.
  package let projects: Set<String>?
  package let method: Method

  package init(name: String, role: Role, projects: Set<String>? = nil, method: Method) {
    self.name = name
    self.role = role
    self.projects = projects
    self.method = method
  }

  /// Whether it may see and touch what is in a project; nil is the host, which is nobody's who is limited.
  package func reaches(project: String?) -> Bool {
    guard let projects else { return true }
    return project.map(projects.contains) ?? false
  }

  /// The word for the way it came, by Incus's names.
  package var methodWord: String {
    switch method {
    case .unix: "unix"
    case .token, .certificate: "tls"
    }
  }

  /// Whose process is at the other end of a Unix socket: root and the daemon's own user may do everything,
  /// others nothing.
  package static func unix(user: UInt32, daemon: UInt32) -> Identity? {
    guard user == 0 || user == daemon else { return nil }
    return Identity(name: "uid:\(user)", role: .admin, method: .unix(user: user))
  }
}

/// What somebody may do, from least to most.
package enum Role: String, Codable, Comparable, Sendable, CaseIterable {
  /// Looks.
  case monitor
  /// Starts, stops and uses what is there.
  case user
  /// Makes, changes and deletes.
  case `operator`
  /// Everything, other people's rights included.
  case admin

  package static func < (left: Role, right: Role) -> Bool { left.rank < right.rank }

  private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// What a route asks of those who use it.
package enum Right: String, Sendable, CaseIterable {
  /// Nothing: it tells nothing that is anybody's.
  case anyone
  case view
  case use
  case operate
  /// For the host as a whole; never for those who are limited to projects.
  case administer

  /// The role that has it; nil when none is needed.
  package var role: Role? {
    switch self {
    case .anyone: nil
    case .view: .monitor
    case .use: .user
    case .operate: .operator
    case .administer: .admin
    }
  }

  /// Throws unless `identity` has it.
  package func check(_ identity: Identity?) throws(APIError) {
    guard let role else { return }
    guard let identity else {
      throw .denied("nobody without a right may do this; the daemon does not know you")
    }
    if identity.role < role {
      throw .denied("this needs the role \(role.rawValue); yours is \(identity.role.rawValue)")
    }
    if self == .administer, identity.projects != nil {
      throw .denied("this needs a role that is not limited to projects")
    }
  }
}
