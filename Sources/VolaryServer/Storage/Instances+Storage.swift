internal import GRDB
internal import VolaryAPI

extension Instances {
  /// Throws when a storage pool is not there, for what cannot be done without it.
  func checkPool(_ name: String) async throws {
    if name == StoragePoolRecord.default { return }
    if pools.isServer(name) { throw StorageServers.refusal(name) }
    let pools = pools
    if try await services.store.read({ try !StoragePoolRecord.exists($0, key: name) }) {
      throw APIError.notFound(
        "there is no storage pool `\(name.prefix(100))`",
        wayOut: "`volary storage list` shows those that there are")
    }
    try await offThread("pool") { try pools.check(name) }
  }
}
