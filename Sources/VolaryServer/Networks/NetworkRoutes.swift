internal import HostSystem
internal import VolaryAPI

/// `/1.0/networks`: `nat`, which each machine has one of its own of, and the host's own network devices as its kernel
/// shows them. None is made here: whoever looks after the host makes bridges.
struct NetworkRoutes: RouteGroup {
  static let nat = "nat"

  let instances: Instances

  let apiExtensions = ["network", "network_state", "instance_nic_network"]

  var routes: [Route] {
    [
      .list(
        "/1.0/networks", "Networks", right: .view, query: [.project],
        pathOf: { (network: NetworkObject) in Self.path(network.name) }
      ) { call in
        let identity = try call.requireIdentity()
        let users = try await instances.networkUsers(for: identity)
        return try await links(for: identity, users).map { Self.object($0, users) }
          + [Self.ownObject(users[Self.nat] ?? [])]
      },
      .get("/1.0/networks/{name}", "One network", right: .view, query: [.project]) { call in
        let users = try await instances.networkUsers(for: call.requireIdentity())
        if call["name"] == Self.nat { return Self.ownObject(users[Self.nat] ?? []) }
        return Self.object(try await find(call, users), users)
      },
      .get("/1.0/networks/{name}/state", "How a network is now", right: .view, query: [.project]) { call in
        if call["name"] == Self.nat { return Self.ownState }
        let users = try await instances.networkUsers(for: call.requireIdentity())
        let all = try await offThread("networks") { try HostLink.all() }
        return Self.state(try await find(call, users), all)
      },
    ]
  }

  // MARK: - What there is

  /// The host's devices that somebody may see: who is limited to projects, those that their instances are on. The
  /// machines' own sides are nobody's network.
  private func links(for identity: Identity, _ users: [String: [String]]) async throws -> [HostLink] {
    let all = try await offThread("networks") {
      do { return try HostLink.all() } catch {
        throw APIError(.failed, "the host's network devices cannot be read: \(error)")
      }
    }
    return all.filter { link in
      link.name != Self.nat && (identity.projects == nil || users[link.name] != nil)
    }
  }

  private func find(_ call: Call, _ users: [String: [String]]) async throws -> HostLink {
    let all = try await links(for: call.requireIdentity(), users)
    guard let link = all.first(where: { $0.name == call["name"] }) else {
      throw APIError.notFound("there is no network `\(call["name"].prefix(40))`")
    }
    return link
  }

  private static func path(_ name: String) -> String { "/1.0/networks/\(APIEndpoint.escaped(name))" }

  // MARK: - Objects

  private static func ownObject(_ users: [String]) -> NetworkObject {
    NetworkObject(
      name: nat, description: "Out by the host's own connections; a network of its own for each machine",
      type: "nat", managed: true, config: ["ipv4.address": "10.0.2.2/24", "ipv4.nat": "true"], usedBy: users)
  }

  private static var ownState: NetworkStateObject {
    NetworkStateObject(
      addresses: [.init(family: "inet", address: "10.0.2.2", netmask: "24", scope: "global")], mtu: 1500,
      state: "up", type: "broadcast")
  }

  private static func object(_ link: HostLink, _ users: [String: [String]]) -> NetworkObject {
    NetworkObject(name: link.name, type: type(link), managed: false, usedBy: users[link.name] ?? [])
  }

  private static func type(_ link: HostLink) -> String {
    if link.isLoopback { return "loopback" }
    return switch link.kind {
    case nil: "physical"
    case "tun": "tap"
    case let kind?: kind
    }
  }

  private static func state(_ link: HostLink, _ all: [HostLink]) -> NetworkStateObject {
    let members = all.filter { $0.master == link.index }.map(\.name).sorted()
    return NetworkStateObject(
      addresses: link.addresses.map {
        .init(
          family: $0.isIPv6 ? "inet6" : "inet", address: $0.text, netmask: "\($0.prefix)", scope: $0.scope)
      },
      counters: .init(
        bytesReceived: Int64(clamping: link.counters.bytesReceived),
        bytesSent: Int64(clamping: link.counters.bytesSent),
        packetsReceived: Int64(clamping: link.counters.packetsReceived),
        packetsSent: Int64(clamping: link.counters.packetsSent)),
      hwaddr: link.hardwareAddress.hexadecimalWithColons,
      mtu: link.mtu, state: link.isUp ? "up" : "down",
      type: link.isLoopback ? "loopback" : link.isPointToPoint ? "point-to-point" : "broadcast",
      bridge: link.kind == "bridge" ? .init(upperDevices: members) : nil)
  }
}
