internal import Foundation
internal import GRDB
internal import Glibc
internal import Synchronization
internal import VolaryAPI
internal import VolaryHost

/// The pools as the daemon finds files by them. A pool that is not its own has a mark in its directory: without it,
/// what is at that path is not the pool, and nothing is looked for, made or deleted there. A mirrored one has two
/// directories, each with a mark of its own.
final class StoragePools: Sendable {
  /// For how long an answer about a mark holds where much depends on no more than a remark.
  private static let memory: Duration = .seconds(1)
  private static let markName = ".volary-pool"

  private struct State {
    var records: [String: StoragePoolRecord] = [:]
    /// By pool, and by side.
    var remembered: [String: (at: ContinuousClock.Instant, problem: String?)] = [:]
  }

  private let dataDirectory: String
  private let state = Mutex(State())

  init(dataDirectory: String) { self.dataDirectory = dataDirectory }

  /// Reads them anew, after a change.
  func load(_ store: Store) throws {
    let all = try store.readNow { try StoragePoolRecord.fetchAll($0) }
    state.withLock { state in
      state = State(records: Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last }))
    }
  }

  /// The directory that a pool's files are in.
  func source(of record: StoragePoolRecord) -> String {
    record.config["source"]
      ?? (record.name == StoragePoolRecord.default
        ? dataDirectory : "\(dataDirectory)/storage-pools/\(record.name)")
  }

  /// Whether a pool's disks are the exports of a server, so that it has no files.
  func isServer(_ name: String) -> Bool {
    state.withLock { $0.records[name]?.driver == StorageServers.driver }
  }

  /// Where the disk of an instance is: nil for the instance's own folder.
  func diskFolder(of instance: InstanceRecord) -> String? {
    if instance.pool == StoragePoolRecord.default { return nil }
    let record = state.withLock { $0.records[instance.pool] }
    // A pool that is gone from the store has no instances; a path that is nowhere is no other's.
    return (record.map(source) ?? "/nonexistent") + "/instances/" + instance.id
  }

  /// The file of a layer (``LayerRecord``).
  func layer(_ id: String, in pool: String, side: Int = 0) -> String {
    layers(in: pool, side: side) + "/" + id
  }

  private func layers(in pool: String, side: Int) -> String { folder("layers", in: pool, side: side) }

  /// Where backups are, and what is on its way to become one or out of one.
  /// Those of a mirrored pool are in the daemon's directory: a backup beside what it is to replace, and on one of two
  /// sides that may be gone, would be of little use.
  func exports(in pool: String) -> String {
    isMirrored(pool) ? dataDirectory + "/exports" : folder("exports", in: pool)
  }

  private func folder(_ name: String, in pool: String, side: Int = 0) -> String {
    let record = state.withLock { $0.records[pool] }
    return (record.map { sources(of: $0) }?.dropFirst(side).first ?? "/nonexistent") + "/" + name
  }

  /// The layers whose files are there; nil when the pool, or that side of it, is not.
  func presentLayers(in pool: String, side: Int = 0) -> Set<String>? {
    if sideProblem(of: pool, side) != nil { return nil }
    return Set((try? FileManager.default.contentsOfDirectory(atPath: layers(in: pool, side: side))) ?? [])
  }

  /// Throws when a pool is not there now.
  func check(_ name: String) throws(APIError) {
    guard let problem = problem(of: name) else { return }
    throw APIError(
      .conflict, "the storage pool `\(name)` is not there: \(problem)",
      wayOut: "mount it again; `volary storage show \(name)` says what it is")
  }

  /// What keeps a pool from being used; nil when it is there.
  func problem(of name: String) -> String? {
    guard let record = state.withLock({ $0.records[name] }) else { return "the store does not know it" }
    // One side is enough.
    let problems = sources(of: record).indices.map { sideProblem(of: name, $0) }
    let problem = problems.contains(nil) ? nil : problems.compactMap { $0 }.joined(separator: ", and ")
    state.withLock { $0.remembered[name] = (.now, problem) }
    return problem
  }

  /// As ``problem(of:)``, perhaps of a moment ago.
  func recentProblem(of name: String) -> String? {
    if name == StoragePoolRecord.default { return nil }
    let recent = state.withLock { $0.remembered[name] }
    if let recent, recent.at + Self.memory > .now { return recent.problem }
    return problem(of: name)
  }

  func condition(of name: String) -> Condition? {
    recentProblem(of: name).map { problem in
      Condition(
        type: "StorageMissing", status: true, reason: "PoolUnavailable",
        message: "the storage pool `\(name)` is not there: \(problem)", since: .never)
    }
  }

  static func problem(_ mark: String, in source: String) -> String? {
    if mark.isEmpty { return nil }
    guard let found = try? String(contentsOfFile: "\(source)/\(markName)", encoding: .utf8) else {
      if access("\(source)/\(markName)", F_OK) == 0 { return "\(source) cannot be read" }
      return access(source, F_OK) == 0
        ? "\(source) is there without its mark; it is perhaps not mounted" : "there is no \(source)"
    }
    return found == mark + "\n" ? nil : "\(source) is another pool"
  }

  func record(_ name: String) -> StoragePoolRecord? { state.withLock { $0.records[name] } }

  // MARK: - Directories

  /// Makes its directories a pool. Throws, and leaves nothing, where they cannot be one.
  func claim(_ record: StoragePoolRecord) throws {
    try claim(source(of: record), record.mark, isOwn: record.config["source"] == nil)
    guard let mirror = record.mirror else { return }
    do { try claim(mirror, record.mirrorMark, isOwn: false) } catch {
      var first = record
      first.config[StoragePoolRecord.mirrorKey] = nil
      release(first)
      throw error
    }
  }

  /// Makes an empty directory one side of a pool, or all of it.
  func claim(_ source: String, _ mark: String, isOwn: Bool) throws {
    let text = mark
    let files = FileManager.default
    if isOwn {
      try files.createDirectory(
        atPath: source, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    var isDirectory: ObjCBool = false
    guard files.fileExists(atPath: source, isDirectory: &isDirectory), isDirectory.boolValue else {
      throw APIError.notFound("there is no directory \(source)", wayOut: "make it: mkdir \(source)")
    }
    let mark = "\(source)/\(Self.markName)"
    if access(mark, F_OK) == 0 {
      throw APIError.conflict(
        "\(source) is a storage pool already", wayOut: "if no daemon has it any more, remove \(mark)")
    }
    for name in ["instances", "layers", "exports"] where access("\(source)/\(name)", F_OK) == 0 {
      throw APIError.conflict(
        "\(source) has a folder `\(name)` already", wayOut: "give an empty directory")
    }
    do {
      try files.createDirectory(
        atPath: "\(source)/instances", withIntermediateDirectories: false,
        attributes: [.posixPermissions: 0o700])
      do {
        try Data((text + "\n").utf8).write(to: URL(filePath: mark), options: .withoutOverwriting)
      } catch {
        rmdir("\(source)/instances")
        throw error
      }
    } catch {
      throw APIError(
        .denied, "nothing can be made in \(source): \(error.localizedDescription)",
        wayOut: "see whose it is with 'ls -ld \(source)'")
    }
  }

  /// Gives a directory back, with what else is in it. One that is not there stays as it is.
  func release(_ record: StoragePoolRecord) {
    if record.driver == StorageServers.driver { return }
    if let mirror = record.mirror { release(mirror, record.mirrorMark) }
    let source = source(of: record)
    if release(source, record.mark), record.config["source"] == nil { rmdir(source) }
  }

  @discardableResult
  private func release(_ source: String, _ mark: String) -> Bool {
    if Self.problem(mark, in: source) != nil { return false }
    rmdir("\(source)/instances")
    rmdir("\(source)/layers")
    rmdir("\(source)/exports")
    unlink("\(source)/\(Self.markName)")
    return true
  }

  /// Disks of instances that the store does not know. They stay: the store may be one of yesterday.
  func strays(known: Set<String>) -> [String] {
    let records = state.withLock { $0.records.values.filter { !$0.mark.isEmpty } }
    return records.flatMap { record -> [String] in
      let folder = source(of: record) + "/instances"
      if Self.problem(record.mark, in: source(of: record)) != nil { return [] }
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return names.filter { !known.contains($0) }.map { "\(folder)/\($0)" }
    }
  }

  // MARK: - Space

  /// Of the file system that holds a pool.
  func resources(of name: String, promised: Int64) throws(APIError) -> StoragePoolResources {
    try check(name)
    guard let record = state.withLock({ $0.records[name] }) else {
      throw .notFound("there is no storage pool `\(name)`")
    }
    if record.driver == StorageServers.driver {
      throw APIError(
        .unprocessable, "the server of the storage pool `\(name)` does not say how much room it has",
        wayOut: "`volary storage volume list \(name)` shows its disks and their sizes")
    }
    // Each byte is on both sides, so the fuller one says how many more there may be.
    let sides = sources(of: record).enumerated().filter { sideProblem(of: name, $0.offset) == nil }
    let systems = try sides.map { side throws(APIError) in
      var system = statvfs()
      guard statvfs(side.element, &system) == 0 else {
        throw APIError(.failed, "the file system of \(side.element) cannot be asked")
      }
      return system
    }
    guard let system = systems.min(by: { $0.f_bavail * $0.f_frsize < $1.f_bavail * $1.f_frsize }) else {
      throw APIError(.failed, "the file system of \(source(of: record)) cannot be asked")
    }
    let block = Int64(system.f_frsize)
    return StoragePoolResources(
      space: .init(
        used: Int64(clamping: system.f_blocks - system.f_bfree) * block,
        total: Int64(clamping: system.f_blocks) * block, promised: promised),
      inodes: .init(
        used: Int64(clamping: system.f_files - system.f_ffree), total: Int64(clamping: system.f_files)))
  }
}
