internal import Foundation
internal import GRDB
internal import Glibc
internal import Logging
internal import VolaryAPI
internal import VolaryHost

/// What an earlier daemon left of layers.
extension Instances {
  /// Ends what was not ended, and notes which files are missing. Machines that go on have been taken over.
  func recoverLayers(of records: [InstanceRecord]) async {
    for record in records {
      await settleHanded(record.id, isRunning: machines[record.id] != nil)
      if record.layer != nil { folder(of: record).removeOldDisk() }
    }
    do {
      try await services.store.write { database in
        // Nobody has been given them; those that were handed over are settled, or their instance is gone.
        try database.execute(sql: "UPDATE layers SET state = 'dropped' WHERE state IN ('making', 'handed')")
      }
    } catch { services.logger.error("what is left of layers stays: \(error)") }
    await sealLeftovers()
    await collectLayers()
    await lookForLayers()
  }

  /// Compares what the store knows with what is there. What it does not know stays: the store may be one of yesterday.
  private func lookForLayers() async {
    guard
      let (layers, names) = try? await services.store.read({ database in
        (try LayerRecord.fetchAll(database), try StoragePoolRecord.fetchAll(database).map(\.name))
      })
    else { return }
    let pools = pools
    let present = try? await offThread("layers") {
      names.filter { !pools.isMirrored($0) }.reduce(into: [String: Set<String>]()) {
        $0[$1] = pools.presentLayers(in: $1)
      }
    }
    for name in names where pools.isMirrored(name) { try? await forgetLostFiles(in: name) }
    let known = Dictionary(grouping: layers, by: \.pool).mapValues { Set($0.map(\.id)) }
    for (pool, there) in present ?? [:] {
      let known = known[pool] ?? []
      for stray in there.subtracting(known).sorted() {
        if stray.hasSuffix(LayerMerge.newEnding) {
          unlink(pools.layer(stray, in: pool))
          continue
        }
        services.logger.warning(
          "the store knows nothing of \(pools.layer(stray, in: pool)): it stays, for somebody to look at")
      }
      for lost in known.subtracting(there).sorted() {
        services.logger.error("the layer \(pools.layer(lost, in: pool)) is not there")
        lostLayers.insert(lost)
      }
    }
  }

  /// What is missing of an instance's disk.
  func layerCondition(of record: InstanceRecord) -> Condition? {
    guard !lostLayers.isEmpty, let top = record.layer,
      let chain = try? services.store.readNow({ try LayerRecord.chain($0, from: top) }),
      let lost = chain.first(where: { lostLayers.contains($0.id) })
    else { return nil }
    return Condition(
      type: "StorageMissing", status: true, reason: "LayerMissing",
      message: "a file of its disk is not there: \(path(of: lost))", since: .never)
  }
}
