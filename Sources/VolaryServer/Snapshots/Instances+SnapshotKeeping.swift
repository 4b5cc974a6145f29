internal import GRDB
internal import Logging
internal import VolaryAPI

/// Snapshots that go by themselves.
extension Instances {
  /// Seconds between two looks.
  private static let interval = 10

  func watchSnapshots() async {
    repeat {
      await removeExpired()
      await removeExpiredBackups()
      await removeExpiredVolumeSnapshots()
    } while (try? await Task.sleep(for: .seconds(Self.interval))) != nil
  }

  private func removeExpired() async {
    let now = Timestamp.now
    let expired = try? await services.store.read { database in
      try SnapshotRecord.filter(SnapshotRecord.CodingKeys.expiresAt <= now).fetchAll(database)
    }
    for snapshot in expired ?? [] {
      do {
        let record = try await current(snapshot.instance)
        try await removeSnapshot(snapshot.name, of: record)
        services.logger.notice("the snapshot \(record.name)/\(snapshot.name) has expired and was deleted")
      } catch {
        // It is tried again.
        services.logger.info("the snapshot \(snapshot.name) has expired and stays: \(APIError(host: error))")
      }
    }
  }
}
