/// What guests' network cards can be on, as the API shows it (Incus's api.Network).
package struct NetworkObject: Codable, Equatable, Sendable {
  package let name: String
  package let description: String
  /// `nat`, `bridge`, `tap`, `physical`, `loopback`, or the kernel's word for another.
  package let type: String
  /// Whether it is Volary's own; the others are the host's.
  package let managed: Bool
  package let status: String
  package let config: [String: String]
  /// Paths of the instances that are on it, now or when they run.
  package let usedBy: [String]
  package let locations: [String]
  package let project: String

  private enum CodingKeys: String, CodingKey {
    case name, description, type, managed, status, config, locations, project
    case usedBy = "used_by"
  }

  package init(
    name: String, description: String = "", type: String, managed: Bool, config: [String: String] = [:],
    usedBy: [String]
  ) {
    self.name = name
    self.description = description
    self.type = type
    self.managed = managed
    status = managed ? "Created" : ""
    self.config = config
    self.usedBy = usedBy
    locations = ["none"]
    project = "default"
  }
}

/// How a network is now (Incus's api.NetworkState).
package struct NetworkStateObject: Codable, Equatable, Sendable {
  package struct Bridge: Codable, Equatable, Sendable {
    /// Names of the devices that are in it.
    package let upperDevices: [String]

    private enum CodingKeys: String, CodingKey { case upperDevices = "upper_devices" }

    package init(upperDevices: [String]) { self.upperDevices = upperDevices }
  }

  package let addresses: [InstanceStateObject.Address]
  /// Seen from the host.
  package let counters: InstanceStateObject.Counters
  package let hwaddr: String
  package let mtu: Int
  /// `up` or `down`.
  package let state: String
  /// `broadcast`, `loopback`, `point-to-point`.
  package let type: String
  package let bridge: Bridge?

  package init(
    addresses: [InstanceStateObject.Address], counters: InstanceStateObject.Counters = .init(),
    hwaddr: String = "", mtu: Int, state: String, type: String, bridge: Bridge? = nil
  ) {
    self.addresses = addresses
    self.counters = counters
    self.hwaddr = hwaddr
    self.mtu = mtu
    self.state = state
    self.type = type
    self.bridge = bridge
  }
}
