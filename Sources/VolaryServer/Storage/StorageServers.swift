internal import DiskImages
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// Pools of the driver `nbd`: a server, whose exports are the pool's disks. Several hosts may have the same.
enum StorageServers {
  static let driver = "nbd"
  /// Projects whose instances may have its disks: `default` alone where nothing is said, since whoever attaches one
  /// reads all that is on it.
  static let projectsKey = "volary.projects"

  /// Where a pool's server is. Throws `invalid` with what is wrong with its source.
  static func location(_ config: [String: String]) throws(APIError) -> NBDLocation {
    guard let source = config["source"] else {
      throw .invalid(
        "a storage pool of the driver nbd needs its server", wayOut: "add source=nbd://HOST:PORT")
    }
    let location: NBDLocation
    do throws(DiskImageError) { location = try NBDLocation(source) } catch {
      throw .invalid("the source of the storage pool: \(error)")
    }
    do throws(VolaryError) { try ServerDisk.check(location) } catch { throw APIError(error) }
    guard location.export.isEmpty else {
      throw .invalid(
        "the source of a storage pool is a server, without the name of one export",
        wayOut: "leave out what follows the server; its exports are the pool's disks")
    }
    return location
  }

  /// Nil for a pool of another driver.
  static func location(of pool: StoragePoolRecord) -> NBDLocation? {
    pool.driver == driver ? try? location(pool.config) : nil
  }

  /// Throws for keys that such a pool has not.
  static func check(_ config: [String: String]) throws(APIError) {
    _ = try location(config)
    for key in config.keys.sorted()
    where key != "source" && key != projectsKey && !key.hasPrefix("user.") {
      throw .invalid(
        "a storage pool of the driver nbd has no key `\(key)`",
        wayOut: "it has source, \(projectsKey), and keys of your own in user.")
    }
  }

  /// Throws unless a project's instances may have the disks of a pool.
  static func check(_ pool: StoragePoolRecord, for project: String) throws(APIError) {
    let projects = (pool.config[projectsKey] ?? "default").split(separator: ",").map {
      $0.filter { $0 != " " }
    }
    guard !projects.contains(project) else { return }
    throw APIError(
      .denied, "the disks of the storage pool `\(pool.name)` are not for the project `\(project)`",
      wayOut: "whoever administers may add it: volary storage set \(pool.name) "
        + "\(projectsKey)=\((projects + [project]).joined(separator: ","))")
  }

  /// What is said to whoever wants of a server's disks what the server alone does.
  static func refusal(_ pool: String) -> APIError {
    APIError(
      .unprocessable,
      "the storage pool `\(pool)` has the exports of a server: make, rename, enlarge, copy, keep and delete disks there",
      wayOut: "what the server has is attached by: volary storage volume attach \(pool) NAME INSTANCE")
  }
}
