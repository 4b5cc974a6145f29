/// What a new instance is asked for with (Incus's api.InstancesPost).
package struct InstancesPost: Codable, Sendable {
  package enum WantedType: String, Codable, Sendable, CaseIterable {
    case virtualMachine = "virtual-machine"
    case container
    /// What the source is: so Incus's client asks for the copy of a snapshot.
    case any = ""
  }

  /// Made up when none is given.
  package var name: String?
  package var description: String?
  package var type: WantedType?
  package var source: InstanceSource
  /// In the kernel's words or Debian's; the image's own when nil.
  package var architecture: String?
  package var config: [String: String]?
  package var devices: [String: [String: String]]?
  /// Names of profiles, the later over the earlier; `default` alone when nil.
  package var profiles: [String]?
  package var ephemeral: Bool?
  /// Whether it is started at once.
  package var start: Bool?

  package init(
    name: String? = nil, description: String? = nil, type: WantedType? = nil, source: InstanceSource,
    architecture: String? = nil, config: [String: String]? = nil, devices: [String: [String: String]]? = nil,
    profiles: [String]? = nil, ephemeral: Bool? = nil, start: Bool? = nil
  ) {
    self.name = name
    self.description = description
    self.type = type
    self.source = source
    self.architecture = architecture
    self.config = config
    self.devices = devices
    self.profiles = profiles
    self.ephemeral = ephemeral
    self.start = start
  }
}

/// What an instance is made from.
package struct InstanceSource: Codable, Sendable {
  /// `image`, or `copy` for one like another instance.
  package var type: String
  /// An image's name, such as `debian/13`.
  package var alias: String?
  /// An image's fingerprint, in place of its name.
  package var fingerprint: String?
  /// The instance to be copied, or one of its snapshots: `web/snap0`.
  package var source: String?
  /// The project that `source` is in; the new one's when nil.
  package var project: String?
  /// Whether the snapshots of `source` are left out.
  package var instanceOnly: Bool?
  /// Whether one that is there is brought up to what `source` is. Refused so far.
  package var refresh: Bool?

  /// Whether the copy goes on from what the machine of `source` is, memory included; it runs then, as that does.
  package var fork: Bool?

  private enum CodingKeys: String, CodingKey {
    case type, alias, fingerprint, source, project, refresh, fork
    case instanceOnly = "instance_only"
  }

  package init(type: String = "image", alias: String? = nil, fingerprint: String? = nil) {
    self.type = type
    self.alias = alias
    self.fingerprint = fingerprint
  }

  /// A copy of an instance, or of one of its snapshots (`web/snap0`).
  package init(copying source: String, project: String? = nil, instanceOnly: Bool = false) {
    type = "copy"
    self.source = source
    self.project = project
    self.instanceOnly = instanceOnly
  }

  /// A copy of an instance that runs, which goes on as that does.
  package init(forking source: String, project: String? = nil) {
    type = "copy"
    self.source = source
    self.project = project
    instanceOnly = true
    fork = true
  }
}

/// What an instance is changed to: with PUT all of it, with PATCH what is named. With PATCH a key of `config` with an
/// empty value, and a device without any, is taken away.
package struct InstancePut: Codable, Sendable {
  package var description: String?
  package var config: [String: String]?
  package var devices: [String: [String: String]]?
  /// Names of profiles, the later over the earlier; those that there are when nil.
  package var profiles: [String]?
  package var ephemeral: Bool?
  /// With PUT, a snapshot that the instance becomes again; nothing else is changed then.
  package var restore: String?
  /// Whether what ran when `restore` was made runs again.
  package var stateful: Bool?

  package init(
    description: String? = nil, config: [String: String]? = nil, devices: [String: [String: String]]? = nil,
    profiles: [String]? = nil, ephemeral: Bool? = nil, restore: String? = nil, stateful: Bool? = nil
  ) {
    self.description = description
    self.config = config
    self.devices = devices
    self.profiles = profiles
    self.ephemeral = ephemeral
    self.restore = restore
    self.stateful = stateful
  }
}

/// A new name for an instance.
package struct InstancePost: Codable, Sendable {
  package var name: String

  package init(name: String) { self.name = name }
}

/// What is to become of an instance (Incus's api.InstanceStatePut).
package struct InstanceStatePut: Codable, Sendable {
  package enum Action: String, Codable, Sendable, CaseIterable {
    case start, stop, restart, freeze, unfreeze
  }

  package var action: Action
  /// Seconds that the guest has to end; -1 or nil for as many as the daemon gives it.
  package var timeout: Int?
  /// Whether the power is cut.
  package var force: Bool?
  /// With a stop, whether the machine is kept for the next start, memory and devices included. With a start, false for
  /// one that does not go on from what was kept.
  package var stateful: Bool?

  package init(action: Action, timeout: Int? = nil, force: Bool? = nil, stateful: Bool? = nil) {
    self.stateful = stateful
    self.action = action
    self.timeout = timeout
    self.force = force
  }
}

/// How a console is to be opened (Incus's api.InstanceConsolePost).
package struct InstanceConsolePost: Codable, Sendable {
  package var type: String?
  /// Characters.
  package var width: Int?
  package var height: Int?
  /// Whether one that is open is taken over. Here several may be open.
  package var force: Bool?

  package init(type: String? = nil, width: Int? = nil, height: Int? = nil, force: Bool? = nil) {
    self.type = type
    self.width = width
    self.height = height
    self.force = force
  }
}

/// A program to run in an instance (Incus's api.InstanceExecPost).
package struct InstanceExecPost: Codable, Sendable {
  /// None means a login shell.
  package var command: [String]?
  package var environment: [String: String]?
  /// Whether it begins when websockets are there for its streams; else it has none.
  package var waitForWebsocket: Bool?
  /// Whether it gets a terminal.
  package var interactive: Bool?
  /// Characters.
  package var width: Int?
  package var height: Int?
  package var recordOutput: Bool?
  package var user: UInt32?
  package var group: UInt32?
  /// The user's home when nil.
  package var cwd: String?

  private enum CodingKeys: String, CodingKey {
    case command, environment, interactive, width, height, user, group, cwd
    case waitForWebsocket = "wait-for-websocket"
    case recordOutput = "record-output"
  }

  package init(
    command: [String], environment: [String: String] = [:], waitForWebsocket: Bool = true,
    interactive: Bool = false, width: Int? = nil, height: Int? = nil, user: UInt32? = nil, cwd: String? = nil
  ) {
    self.command = command
    self.environment = environment
    self.waitForWebsocket = waitForWebsocket
    self.interactive = interactive
    self.width = width
    self.height = height
    self.user = user
    self.cwd = cwd
  }
}
