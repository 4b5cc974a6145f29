internal import GRDB
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Machines that stand still because the host has no room for what their guests write. They go on by themselves when
/// there is some.
extension Instances {
  /// A machine's disk, named by its serial, has no room on the host, or has some again.
  func note(_ id: String, disk serial: String, isFull: Bool) async {
    guard let record = try? await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }),
      let was = machines[id]?.isFrozen
    else { return }
    if isFull {
      let condition = condition(ofFullDisk: serial, of: record)
      machines[id]?.fullDisks[serial] = condition
      services.logger.warning("\(record.name): \(condition.message)")
    } else {
      machines[id]?.fullDisks[serial] = nil
    }
    guard let isFrozen = machines[id]?.isFrozen, was != isFrozen else { return }
    if !isFrozen {
      services.logger.notice("\(record.name): there is room for its disks again, and it goes on")
      await setClock(id)
    }
    await tell(isFrozen ? "paused" : "resumed", record)
  }

  func condition(ofFullDisk serial: String, of record: InstanceRecord) -> Condition {
    let volume = (try? settings(of: record))?.volumes.first { $0.serial == serial }
    let disk = volume.map { "its volume `\($0.source)`" } ?? "its disk"
    return Condition(
      type: "DiskFull", status: true, reason: "NoSpace",
      message: "the storage pool `\(volume?.pool ?? record.pool)` has no room for what it writes to \(disk), "
        + "and it stands still until there is some")
  }
}

extension RunningMachine {
  /// Why a guest that stands still cannot be asked for anything.
  func standstill(of name: String) -> APIError {
    guard let full = fullDisks.values.first, !isPaused else {
      return .conflict("the instance `\(name)` is paused", wayOut: "resume it first")
    }
    return .conflict("the instance `\(name)` stands still: \(full.message)", wayOut: "make room there")
  }
}
