internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Memory that a running guest has more or less of, by its balloon.
extension Instances {
  /// Bytes that a running instance is to be left with: never more than it was started with, which its devices and its
  /// kernel know of; the rest comes with the next start.
  private func memory(of record: InstanceRecord, _ machine: RunningMachine) -> UInt64? {
    (try? settings(of: record).memory).map { min($0, machine.memory) }
  }

  /// Sets memory aside that a running instance gets back, where it is more than it has.
  func admitMemory(_ record: InstanceRecord, _ ratios: OvercommitRatios) throws {
    guard let machine = machines[record.id], let old = pool[record.id],
      let wanted = memory(of: record, machine).map({ Int64(clamping: $0) }), wanted > old.memory
    else { return }
    try pool.promise(
      .init(cpus: old.cpus, memory: wanted), to: record.id, name: record.name, capacity, ratios)
  }

  /// Asks a running guest to give memory back, or lets it have it again. It does so in its own time; one that is short
  /// of memory takes back what it needs (`VIRTIO_BALLOON_F_DEFLATE_ON_OOM`). What is promised follows at once.
  func holdMemory(_ record: InstanceRecord) async {
    guard let machine = machines[record.id], let wanted = memory(of: record, machine) else { return }
    do {
      try await machine.link.call(.balloon(target: wanted))
      if let old = pool[record.id] {
        pool.adopt(.init(cpus: old.cpus, memory: Int64(clamping: wanted)), of: record.id)
      }
    } catch {
      services.logger.warning("the memory of \(record.name) stays as it is: \(APIError(host: error))")
    }
  }

  /// Has what runs in a project keep to its configuration, as far as that can be changed while it runs.
  func hold(project: String) async {
    for record in (try? records(project: project)) ?? [] where machines[record.id] != nil {
      await holdLimits(record)
      await holdMemory(record)
      await holdDiskSize(record)
    }
  }
}

extension InstanceStateObject.Guest {
  init(_ status: MachineStatus) {
    func bytes(_ count: UInt64?) -> Int64? { count.map { Int64(clamping: $0) } }
    let told = status.guestMemory
    self.init(
      start: Int64(clamping: status.memory), wanted: Int64(clamping: status.balloonTarget),
      given: Int64(clamping: status.balloon), reported: Int64(clamping: status.reportedMemory),
      total: bytes(told?.total), free: bytes(told?.free), available: bytes(told?.available),
      caches: bytes(told?.diskCaches))
  }
}
