internal import Foundation
internal import GRDB
internal import VolaryAPI

/// The instances as lists show them, kept between requests: each row is read again, and its object written as
/// JSON again, only when it has changed. Ten thousand take a third of a second to read and write, and are asked
/// for every few seconds by each page that shows them.
struct InstanceTable {
  /// What an object says beside its row.
  struct Outlook: Equatable {
    let status: StatusCode
    let conditions: [Condition]
    /// Which state of the profiles it was made with.
    let profiles: Int
    /// How many it has.
    let snapshots: Int
  }

  private struct Entry {
    let record: InstanceRecord
    var shown: (outlook: Outlook, json: Data)?
    /// Bytes of its disk, once somebody has asked, and with which state of the profiles.
    var disk: (bytes: Int64, profiles: Int)?
  }

  private let store: Store
  private let changes: RowChanges
  private var entries: [Int64: Entry] = [:]
  /// Rows by name, by project; nil when names have to be sorted anew.
  private var order: [String: [Int64]]?
  private var isLoaded = false

  init(store: Store) {
    self.store = store
    changes = store.changes(of: InstanceRecord.databaseTableName)
  }

  /// The records of a project, by name.
  mutating func records(project: String) throws -> [InstanceRecord] {
    try refresh()
    return rows(project).compactMap { entries[$0]?.record }
  }

  /// The objects of a project as a JSON array, by name.
  mutating func json(
    project: String, outlook: (InstanceRecord) -> Outlook, object: (InstanceRecord) -> InstanceObject
  ) throws -> Data {
    try refresh()
    var list = Data("[".utf8)
    for row in rows(project) {
      guard var entry = entries[row] else { continue }
      let present = outlook(entry.record)
      let json: Data
      if let shown = entry.shown, shown.outlook == present {
        json = shown.json
      } else {
        json = try APICoding.encode(object(entry.record))
        entry.shown = (present, json)
        entries[row] = entry
      }
      if list.count > 1 { list.append(UInt8(ascii: ",")) }
      list.append(json)
    }
    list.append(UInt8(ascii: "]"))
    return list
  }

  /// Bytes of each instance's disk, by its id, in all projects. `profiles` is the profiles' state with which `size`
  /// says them.
  mutating func disks(profiles: Int, size: (InstanceRecord) -> Int64) throws -> [String: Int64] {
    try refresh()
    var disks: [String: Int64] = [:]
    for (row, entry) in entries {
      if let disk = entry.disk, disk.profiles == profiles {
        disks[entry.record.id] = disk.bytes
      } else {
        let bytes = size(entry.record)
        disks[entry.record.id] = bytes
        entries[row]?.disk = (bytes, profiles)
      }
    }
    return disks
  }

  private mutating func rows(_ project: String) -> [Int64] {
    if order == nil {
      order = Dictionary(grouping: entries.keys) { entries[$0]?.record.project ?? "" }.mapValues { rows in
        rows.map { ($0, entries[$0]?.record.name ?? "") }.sorted { $0.1 < $1.1 }.map(\.0)
      }
    }
    return order?[project] ?? []
  }

  /// Brings the entries up to what has been committed. Reads at once, without waiting for others between, so that
  /// what it takes from the changes is what it reads.
  private mutating func refresh() throws {
    let changed = changes.take()
    if isLoaded, changed.isEmpty { return }
    // A list of thousands is read as fast whole.
    let isWhole = !isLoaded || changed.count > 1000
    let table = InstanceRecord.databaseTableName
    let condition = isWhole ? "" : " WHERE rowid IN (\(changed.map(String.init).joined(separator: ",")))"
    isLoaded = false
    let read = try store.readNow { database in
      try Row.fetchAll(database, sql: "SELECT rowid AS row_number, * FROM \(table)\(condition)").map { row in
        (row["row_number"] as Int64, try InstanceRecord(row: row))
      }
    }
    isLoaded = true
    let gone = isWhole ? Set(entries.keys) : changed
    let old = entries
    for row in gone { entries[row] = nil }
    for (row, record) in read { entries[row] = Entry(record: record, shown: nil) }
    let isSameOrder =
      entries.count == old.count
      && read.allSatisfy { old[$0.0]?.record.name == $0.1.name && old[$0.0]?.record.project == $0.1.project }
    if !isSameOrder { order = nil }
  }
}
