internal import GRDB
internal import VolaryAPI

/// The profiles of a project, and what instances become by them.
struct ProfileSet: Sendable {
  private let profiles: [String: ProfileRecord]

  init(_ profiles: [ProfileRecord] = []) {
    self.profiles = Dictionary(profiles.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
  }

  init(_ database: Database, project: String) throws {
    self.init(try ProfileRecord.filter(ProfileRecord.CodingKeys.project == project).fetchAll(database))
  }

  /// With one of them as it is going to be.
  func changing(_ profile: ProfileRecord) -> ProfileSet {
    ProfileSet(profiles.values.filter { $0.name != profile.name } + [profile])
  }

  /// Throws unless an instance can have profiles of these names: each is there, and named once.
  func check(_ names: [String]) throws(APIError) {
    for (index, name) in names.enumerated() {
      if profiles[name] == nil {
        throw .notFound(
          "there is no profile `\(name.prefix(100))` in the project",
          wayOut: "`volary profile list` shows those that there are")
      }
      if names[..<index].contains(name) { throw .invalid("the profile `\(name)` is named twice") }
    }
  }

  /// An instance's configuration: what its profiles say, the later over the earlier, and over all its own.
  func config(of record: InstanceRecord) -> [String: String] {
    record.profiles.reduce(into: [:]) { all, name in
      all.merge(profiles[name]?.config ?? [:]) { _, later in later }
    }.merging(record.config) { _, own in own }
  }

  /// An instance's devices, likewise: one of the same name takes the other's place as a whole. One of the type `none`
  /// takes it away.
  func devices(of record: InstanceRecord) -> [String: [String: String]] {
    let all = record.profiles.reduce(into: [:]) { all, name in
      all.merge(profiles[name]?.devices ?? [:]) { _, later in later }
    }.merging(record.devices) { _, own in own }
    return InstanceSettings.expanded(all)
  }

  /// What an instance is to be.
  func settings(of record: InstanceRecord) throws(APIError) -> InstanceSettings {
    try InstanceSettings(
      config: config(of: record), devices: devices(of: record),
      architecture: Instances.architecture(of: record))
  }
}

/// The profiles of all projects, read again when one has changed.
struct ProfileTable {
  private let store: Store
  private let changes: RowChanges
  private var sets: [String: ProfileSet]?
  /// Another number after each change.
  private(set) var version = 0

  init(store: Store) {
    self.store = store
    changes = store.changes(of: ProfileRecord.databaseTableName)
  }

  /// Brings the sets up to what has been committed.
  mutating func refresh() throws {
    let changed = changes.take()
    if sets != nil, changed.isEmpty { return }
    sets = nil
    version += 1
    let all = try store.readNow { try ProfileRecord.fetchAll($0) }
    sets = Dictionary(grouping: all, by: \.project).mapValues(ProfileSet.init)
  }

  mutating func set(of project: String) throws -> ProfileSet {
    try refresh()
    return sets?[project] ?? ProfileSet()
  }
}
