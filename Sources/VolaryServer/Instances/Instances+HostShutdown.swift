internal import GRDB
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

extension Instances {
  /// Ends all machines because the host goes down: those with a higher `boot.stop.priority` first, each with the time
  /// that `boot.host_shutdown_timeout` gives its guest. They run again when the host has come up.
  func stopForHost() async {
    hostGoesDown = true
    let ids = Array(machines.keys)
    let records = (try? await services.store.read { try InstanceRecord.fetchAll($0, keys: ids) }) ?? []
    let members = records.map { ($0, try? settings(of: $0)) }
    let groups = Dictionary(grouping: members) { $0.1?.stopPriority ?? 0 }
    for (_, group) in groups.sorted(by: { $0.key > $1.key }) {
      await withTaskGroup(of: Void.self) { tasks in
        for (record, settings) in group {
          tasks.addTask {
            await self.stopForHost(record, seconds: settings?.hostShutdownTimeout ?? Self.patience)
          }
        }
      }
    }
  }

  private func stopForHost(_ record: InstanceRecord, seconds: Int) async {
    services.logger.notice("the host goes down: \(record.name) is asked to end")
    if machines[record.id]?.isPaused == true {
      _ = try? await machines[record.id]?.link.call(.resume)
      machines[record.id]?.isPaused = false
      // Its first process has to be awake to hear what it is asked.
      try? await Task.sleep(for: .seconds(1))
    }
    do { try await end(record.id, seconds: seconds, force: false) } catch {
      services.logger.warning("\(APIError(host: error).message): its power is cut")
      try? await end(record.id, seconds: 0, force: true)
    }
  }
}
