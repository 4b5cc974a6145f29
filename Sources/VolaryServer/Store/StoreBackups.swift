internal import Foundation
internal import GRDB

/// Copies of the database, made by SQLite itself: each whole, the three newest kept.
struct StoreBackups: Sendable {
  private static let kept = 3
  private static let interval: TimeInterval = 86_400

  let folder: String

  init(directory: String) { folder = directory + "/backups" }

  /// The path of the newest backup.
  var newest: String? { names.last.map { folder + "/" + $0 } }

  func isDue(now: Date) -> Bool {
    guard let newest,
      let made = try? FileManager.default.attributesOfItem(atPath: newest)[.modificationDate] as? Date
    else { return true }
    return now.timeIntervalSince(made) >= Self.interval
  }

  /// Copies what the database holds now. A backup appears under its name when it is complete.
  func make(_ database: Database, now: Date) throws -> String {
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let unfinished = folder + "/unfinished"
    try? FileManager.default.removeItem(atPath: unfinished)
    try database.execute(sql: "VACUUM INTO ?", arguments: [unfinished])
    let handle = try FileHandle(forUpdating: URL(filePath: unfinished))
    try handle.synchronize()
    try handle.close()
    let path = folder + "/" + Self.name(now)
    try? FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: unfinished, toPath: path)
    for name in names.dropLast(Self.kept) { try? FileManager.default.removeItem(atPath: folder + "/" + name) }
    return path
  }

  /// Oldest first: the names hold the time.
  private var names: [String] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return all.filter { $0.hasPrefix("volary-") && $0.hasSuffix(".db") }.sorted()
  }

  private static func name(_ now: Date) -> String {
    let digits = now.ISO8601Format().filter(\.isNumber)
    return "volary-\(digits).db"
  }
}
