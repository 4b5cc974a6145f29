internal import DiskImages
internal import GRDB
internal import HostSystem
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Disks of machines that run, whose servers are away.
extension Instances {
  /// Gets a machine's disks on servers their connections from here on. `lost` are those that are in want of one already.
  func connectDisks(_ id: String, _ disks: [ServerDisk], lost: [String] = []) {
    guard let link = machines[id]?.link, !disks.isEmpty else { return }
    let locations = Dictionary(
      disks.map { ($0.serial, $0.location) }, uniquingKeysWith: { first, _ in first })
    machines[id]?.connector = DiskConnector(locations) { serial, error in
      Task { await self.noteUnreachable(serial, error, of: id) }
    } handOver: { serial, socket in
      Task { _ = try? await link.call(.attachDisk(serial), descriptors: [socket]) }
    }
    for serial in lost { diskLost(serial, "before this daemon was there", of: id) }
  }

  /// A machine asks for another connection of a disk's.
  func diskLost(_ serial: String, _ reason: String, of id: String) {
    guard let connector = machines[id]?.connector else { return }
    connector.connect(serial)
    let isNew = machines[id]?.lostDisks[serial] == nil
    note(reason, of: serial, of: id)
    guard isNew else { return }
    services.logger.warning(
      "the disk `\(serial)` has lost its server (\(reason)); requests wait", metadata: ["instance": "\(id)"])
    Task { await tellOfDisk("disk-lost", serial, id) }
  }

  func diskReturned(_ serial: String, of id: String) {
    guard machines[id]?.lostDisks.removeValue(forKey: serial) != nil else { return }
    services.logger.notice("the disk `\(serial)` has its server again", metadata: ["instance": "\(id)"])
    Task { await tellOfDisk("disk-returned", serial, id) }
  }

  private func noteUnreachable(_ serial: String, _ error: Errno, of id: String) {
    guard machines[id]?.lostDisks[serial] != nil else { return }
    note("\(error)", of: serial, of: id)
  }

  private func note(_ reason: String, of serial: String, of id: String) {
    // Read before: the assignment has the table to itself.
    let since = machines[id]?.lostDisks[serial]?.since ?? .now
    machines[id]?.lostDisks[serial] = Condition(
      type: "DiskUnreachable", status: true, reason: "ServerLost",
      message:
        "the server of the disk `\(serial)` is away (\(reason)): requests wait for it, and fail when it has not come "
        + "back in two minutes; it is asked again and again",
      since: since)
  }

  private func tellOfDisk(_ action: String, _ serial: String, _ id: String) async {
    guard let record = try? await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }) else {
      return
    }
    await tell(action, record, ["disk": .string(serial)])
  }
}
