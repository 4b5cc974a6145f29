internal import GRDB
internal import HostSystem
internal import VolaryAPI
internal import VolaryHost

extension Instances {
  /// Gives an instance's network card an address, and its side on the host a name where it is going to have one, unless
  /// they are there. Both stay.
  static func nameCard(_ record: inout InstanceRecord, _ settings: InstanceSettings) {
    let key = Volatile.hardwareAddress(settings.card)
    if let chosen = settings.hardwareAddress {
      record.volatile[key] = chosen.hexadecimalWithColons
    } else if record.volatile[key] == nil {
      record.volatile[key] = InstancePlan.makeHardwareAddress().hexadecimalWithColons
    }
    if case .host = settings.network, record.volatile[Volatile.hostName(settings.card)] == nil {
      record.volatile[Volatile.hostName(settings.card)] = InstancePlan.makeHostDevice()
    }
  }

  /// The address of an instance's network card, as it is written; empty before it has one.
  func hardwareAddress(of record: InstanceRecord) throws -> String {
    record.volatile[Volatile.hardwareAddress(try settings(of: record).card)] ?? ""
  }

  /// Six bytes; nil of what is written otherwise.
  static func hardwareAddress(_ text: String?) -> [UInt8]? {
    let bytes = (text ?? "").split(separator: ":").compactMap { UInt8($0, radix: 16) }
    return bytes.count == 6 ? bytes : nil
  }

  /// Throws where this host's network is not there, or not for this daemon.
  func checkNetwork(_ settings: InstanceSettings) async throws {
    guard case .host(let name) = settings.network else { return }
    try await offThread("network") {
      do { _ = try HostNetwork(name) } catch { throw APIError(host: error) }
    }
  }

  /// Who is on which network: paths by the network's name, of those that `identity` may see.
  func networkUsers(for identity: Identity) async throws -> [String: [String]] {
    let projects = try await services.store.read { try ProjectRecord.fetchAll($0).map(\.name) }
    var users: [String: [String]] = [:]
    for project in projects.sorted() where identity.reaches(project: project) {
      let suffix = ProjectRecord.suffix(project)
      for record in try records(project: project) {
        for device in profiles(of: record).devices(of: record).values where device["type"] == "nic" {
          let name = device["nictype"] == nil ? device["network"] ?? "nat" : device["parent"] ?? ""
          users[name, default: []].append(Self.path(record) + suffix)
        }
      }
    }
    return users
  }
}
