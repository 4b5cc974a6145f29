internal import GRDB
internal import VolaryAPI

/// The daemon's own configuration, which `/1.0` shows.
struct ServerSettings: Sendable {
  /// Where it listens on the network: `ADDRESS:PORT` or `:PORT`; nowhere when it is not there.
  static let httpsAddress = "core.https_address"
  private static let known = [httpsAddress] + OvercommitRatios.keys

  let services: DaemonServices
  let listener: NetworkListener

  var all: [String: String] {
    get async throws { try await services.store.read(SettingRecord.all) }
  }

  /// Puts a change into effect, then keeps it. What cannot be put into effect is not kept.
  func change(_ edit: (inout [String: String]) -> Void) async throws {
    let old = try await all
    var edited = old
    edit(&edited)
    let new = edited.filter { !$0.value.isEmpty }
    if let unknown = new.keys.filter({ !Self.known.contains($0) }).min() {
      throw APIError.invalid(
        "the daemon has no key `\(unknown.prefix(80))`",
        wayOut: "it has \(Self.known.joined(separator: ", "))")
    }
    _ = try OvercommitRatios(new)
    try await listener.listen(at: new[Self.httpsAddress])
    try await services.store.write { database in
      for key in Self.known {
        if let value = new[key] {
          try SettingRecord(key: key, value: value).upsert(database)
        } else {
          _ = try SettingRecord.deleteOne(database, key: key)
        }
      }
    }
  }
}
