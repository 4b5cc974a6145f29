internal import Foundation
internal import GRDB
internal import Glibc
internal import Logging
internal import VolaryAPI
internal import VolaryHost

/// Backups that go, and what is left of those that never came to be.
extension Instances {
  /// Endings of files that are on their way, and are nobody's when a daemon starts.
  private static let passing = [".new", ".import", ".tar"]

  static func makeExports(_ folder: String) throws {
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
      throw APIError(.failed, "cannot make the folder \(folder): \(String(cString: strerror(errno)))")
    }
  }

  /// Takes a backup away: its file first, so that no file stays that nobody knows of. It stays while its pool is not
  /// there.
  func forget(_ backup: BackupRecord) async {
    if pools.problem(of: backup.pool) != nil { return }
    let path = path(of: backup)
    do {
      try await offThread("backup") {
        unlink(path + ".new")
        guard unlink(path) == 0 || errno == ENOENT else {
          throw APIError(.failed, "cannot remove \(path): \(String(cString: strerror(errno)))")
        }
      }
      try await services.store.write { _ = try backup.delete($0) }
    } catch { services.logger.error("the backup \(backup.name) stays: \(APIError(host: error))") }
  }

  /// Removes the files of all backups of an instance that is about to go.
  func removeBackupFiles(of record: InstanceRecord) async {
    await removeFiles(try? await services.store.read { try BackupRecord.all($0, of: record.id) })
  }

  /// The same of a volume.
  func removeBackupFiles(of volume: VolumeRecord) async {
    await removeFiles(try? await services.store.read { try BackupRecord.all($0, ofVolume: volume.id) })
  }

  private func removeFiles(_ backups: [BackupRecord]?) async {
    let paths = (backups ?? []).map(path(of:))
    if paths.isEmpty { return }
    try? await offThread("backup") { for path in paths { unlink(path) } }
  }

  func removeExpiredBackups() async {
    let now = Timestamp.now
    let expired = try? await services.store.read { database in
      try BackupRecord.filter(BackupRecord.CodingKeys.expiresAt <= now).fetchAll(database)
    }
    for backup in expired ?? [] where backup.state == .ready {
      await forget(backup)
      services.logger.notice("the backup \(backup.name) has expired and was deleted")
    }
  }

  /// Ends what an earlier daemon did not: what it was writing goes, and so do rows whose files are gone. Files that the
  /// store does not know stay: it may be one of yesterday.
  func recoverBackups() async {
    guard
      let (backups, names) = try? await services.store.read({ database in
        (try BackupRecord.fetchAll(database), try StoragePoolRecord.fetchAll(database).map(\.name))
      })
    else { return }
    let pools = pools
    let present = try? await offThread("backup") {
      names.reduce(into: [String: Set<String>]()) { present, name in
        if pools.problem(of: name) != nil { return }
        let folder = pools.exports(in: name)
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for file in files where Self.passing.contains(where: file.hasSuffix) { unlink("\(folder)/\(file)") }
        present[name] = Set(files.filter { file in !Self.passing.contains(where: file.hasSuffix) })
      }
    }
    for (pool, files) in present ?? [:] {
      let own = backups.filter { $0.pool == pool }
      for backup in own where backup.state == .making || !files.contains(backup.id) { await forget(backup) }
      for stray in files.subtracting(own.map(\.id)).sorted() {
        services.logger.warning(
          "the store knows nothing of \(pools.exports(in: pool))/\(stray): it stays, for somebody to look at")
      }
    }
  }
}
