internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// The first file of a backup: what it is of, and what its other files are. It is JSON, which is YAML too.
struct BackupIndex: Codable, Equatable, Sendable {
  static let currentVersion = 1
  private static let mostDisks = Instances.mostLayers * 40

  /// By which it is known.
  let volary: Int
  let name: String
  /// `virtual-machine`, or `custom` for a volume.
  let type: String
  let createdAt: Timestamp
  let project: String
  let pool: String
  /// The pool's driver.
  let backend: String
  var instance: Instance?
  var volume: Volume?
  /// Oldest first.
  let snapshots: [Snapshot]
  /// Each behind the one that it stands on.
  let disks: [Disk]
  /// The place of its own among the disks; nil where it has none.
  let disk: Int?
  /// The other files of the archive, in its order.
  let files: [File]

  struct Instance: Codable, Equatable, Sendable {
    let description: String
    let architecture: String
    let config: [String: String]
    let devices: [String: [String: String]]
    let profiles: [String]
    let ephemeral: Bool
    let imageAlias: String?
    /// Addresses of network cards, by the key that they are kept under.
    let addresses: [String: String]

    enum CodingKeys: String, CodingKey {
      case description, architecture, config, devices, profiles, ephemeral, addresses
      case imageAlias = "image_alias"
    }
  }

  struct Volume: Codable, Equatable, Sendable {
    let description: String
    let config: [String: String]
  }

  struct Snapshot: Codable, Equatable, Sendable {
    let name: String
    let description: String
    let createdAt: Timestamp
    let expiresAt: Timestamp?
    var instance: Instance?
    let disk: Int?

    enum CodingKeys: String, CodingKey {
      case name, description, instance, disk
      case createdAt = "created_at"
      case expiresAt = "expires_at"
    }
  }

  struct Disk: Codable, Equatable, Sendable {
    let file: String
    /// Bytes of the disk.
    let size: Int64
    /// The place of the one beneath; nil for one that is whole by itself.
    let over: Int?
  }

  struct File: Codable, Equatable, Sendable {
    let name: String
    /// Bytes.
    let size: Int64
  }

  enum CodingKeys: String, CodingKey {
    case volary, name, type, project, pool, backend, instance, volume, snapshots, disks, disk, files
    case createdAt = "created_at"
  }

  // MARK: - Written and read

  func encoded() throws -> [UInt8] { Array(try APICoding.prettyEncoder.encode(self)) + [0x0A] }

  /// Reads what a backup begins with. Throws for what does not fit together; what it says of instances is checked where
  /// they are made.
  init(reading bytes: [UInt8]) throws(APIError) {
    let index: BackupIndex
    do { index = try APICoding.decode(BackupIndex.self, from: Data(bytes)) } catch {
      throw .invalid(
        "this is no backup of Volary's: its \(BackupArchive.indexName) is of another form",
        wayOut: "disks of other systems come in with `volary image import`")
    }
    guard index.volary == Self.currentVersion else {
      throw .invalid(
        "the backup is of version \(index.volary), and this daemon knows version \(Self.currentVersion)",
        wayOut: "import it where it was made, or by a newer daemon")
    }
    let snapshots = Set(index.snapshots.map(\.name))
    let all = index.disks.indices
    let isSound =
      snapshots.count == index.snapshots.count && index.disks.count <= Self.mostDisks
      && index.files.count <= Self.mostDisks + 3 && index.files.allSatisfy { $0.size >= 0 }
      && ([index.disk] + index.snapshots.map(\.disk)).allSatisfy { $0.map(all.contains) ?? true }
      && all.allSatisfy(index.isSound)
    guard isSound else {
      throw .invalid(
        "this is no sound backup: what its \(BackupArchive.indexName) says does not fit together")
    }
    self = index
  }

  private func isSound(_ place: Int) -> Bool {
    let disk = disks[place]
    guard disk.size > 0, disk.size % 512 == 0, disk.size <= 1 << 56 else { return false }
    guard var beneath = disk.over else { return true }
    guard (0..<place).contains(beneath), disks[beneath].size <= disk.size else { return false }
    var depth = 1
    while let next = disks[beneath].over, next < beneath {
      beneath = next
      depth += 1
    }
    // The one that is written comes over them all.
    return depth + 2 <= Instances.mostLayers
  }

  init(
    name: String, type: String, project: String, pool: String, snapshots: [Snapshot], disks: [Disk],
    disk: Int?, files: [File]
  ) {
    volary = Self.currentVersion
    self.name = name
    self.type = type
    createdAt = .now
    self.project = project
    self.pool = pool
    backend = "dir"
    self.snapshots = snapshots
    self.disks = disks
    self.disk = disk
    self.files = files
  }

  var members: [BackupArchive.Member] { files.map { .init(name: $0.name, size: UInt64(clamping: $0.size)) } }
}

extension BackupIndex.Instance {
  init(_ record: InstanceRecord) {
    description = record.description
    architecture = record.architecture
    config = record.config
    devices = record.devices
    profiles = record.profiles
    ephemeral = record.ephemeral
    imageAlias = record.imageAlias
    addresses = record.volatile.filter { $0.key.hasPrefix("volatile.") && $0.key.hasSuffix(".hwaddr") }
  }

  init(_ snapshot: SnapshotRecord) {
    description = snapshot.description
    architecture = snapshot.architecture
    config = snapshot.config
    devices = snapshot.devices
    profiles = snapshot.profiles
    ephemeral = snapshot.ephemeral
    imageAlias = nil
    addresses = [:]
  }
}
