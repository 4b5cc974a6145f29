internal import Foundation
internal import GRDB
internal import HostSystem
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

extension Instances {
  /// Finds again what an earlier daemon left: machines that go on are taken over, what was half made is removed, and
  /// of what has ended it is said how.
  func recover() async throws {
    let records = try await services.store.read { try InstanceRecord.fetchAll($0) }
    try pools.load(services.store)
    isFirstOfBoot = hostWasRestarted
    await prepareGroups()
    for record in records {
      if let pending = record.volatile[Volatile.pending].flatMap(Pending.init) {
        services.logger.notice(
          "the \(pending.rawValue) of \(record.name) had not ended: what there is of it is removed")
        await endStray(folder(of: record))
        await discard(record)
      } else if !(await adopt(record)), record.statusCode != .stopped {
        await noteAbsence(record)
      }
    }
    await recoverLayers(of: records)
    for record in records { await noteMirrors(record) }
    await recoverBackups()
    if let now = try? await services.store.read({ try InstanceRecord.fetchAll($0) }) {
      await removeStrayKept(of: now)
    }
    await removeStrays(known: Set(records.map(\.id)))
    removeStrayGroups()
    for path in pools.strays(known: Set(records.map(\.id))) {
      services.logger.warning("the store knows nothing of \(path): it stays, for somebody to look at")
    }
    await noteHost()
  }

  /// Starts what is to run on a host that has just come up, in the order that was asked for: what has to start, and
  /// what ran when the host went down and says nothing of that.
  func startWanted() async {
    guard isFirstOfBoot, let records = try? await services.store.read({ try InstanceRecord.fetchAll($0) })
    else { return }
    let wanted = records.compactMap { record -> (record: InstanceRecord, settings: InstanceSettings)? in
      guard machines[record.id] == nil, let settings = try? settings(of: record) else { return nil }
      return settings.autostart ?? (record.wanted == .running) ? (record, settings) : nil
    }
    let order = wanted.sorted {
      ($1.settings.priority, $0.record.name) < ($0.settings.priority, $1.record.name)
    }
    for (record, settings) in order {
      do { try await start(record.id) } catch {
        services.logger.error("\(record.name) could not be started: \(APIError(host: error))")
        note(APIError(host: error), of: record.id)
      }
      // Whoever comes next may need it.
      if settings.autostartDelay > 0 { try? await Task.sleep(for: .seconds(settings.autostartDelay)) }
    }
  }

  /// Looks now and then at the logs of machines that run, so that none fills the disk.
  func watchLogs() async {
    while (try? await Task.sleep(for: .seconds(30))) != nil {
      let ids = Array(machines.keys)
      let paths = ids.map { InstanceFolder("\(services.dataDirectory)/instances/\($0)").log }
      try? await offThread("logs") { for path in paths { try? LogTail.cut(path) } }
    }
  }

  /// Lets go of all machines, which go on.
  func letGo() {
    for machine in machines.values {
      machine.connector?.stop()
      machine.link.cut()
    }
  }

  // MARK: - Steps

  private func adopt(_ record: InstanceRecord) async -> Bool {
    let folder = folder(of: record)
    guard FileManager.default.fileExists(atPath: folder.control) else { return false }
    if record.volatile[Volatile.reverting] != nil, await !hasReverted(record) {
      services.logger.notice("\(record.name) had not gone back to its snapshot: its machine is ended")
      await endStray(folder)
      return false
    }
    let (events, continuation) = AsyncStream.makeStream(of: MachineLink.Event.self)
    guard
      let link = try? await offThread(
        "adopt", { try MachineLink(adopting: folder) { continuation.yield($0) } }),
      case .status(let status)? = try? await link.call(.status)
    else { return false }
    if status.state == .configured || status.state == .empty {
      // Whoever was to start it is gone. Nothing has run, so what it was to go on from is still that.
      services.logger.notice("\(record.name) was not started yet: its machine is ended")
      link.cut()
      await endStray(folder)
      _ = try? await update(record.id) { $0.statusCode = .stopped }
      return false
    }
    let identity =
      if let pid = record.pid, let start = record.pidStartedAt {
        ForeignProcess.Identity(identifier: pid, startTime: UInt64(clamping: start))
      } else { ForeignProcess.Identity(of: status.processID) }
    machines[record.id] = RunningMachine(
      link: link, identity: identity, process: nil, network: nil,
      startedAt: record.startedAt ?? .now,
      architecture: Self.architecture(of: record), isPaused: status.state == .paused)
    for disk in status.disks where disk.isFull {
      machines[record.id]?.fullDisks[disk.serial] = condition(ofFullDisk: disk.serial, of: record)
    }
    if record.volatile[Volatile.stopping] != nil, status.state == .paused {
      // It was kept, and its end was not asked for any more: it goes on.
      machines[record.id]?.isPaused = (try? await link.call(.resume)) == nil
    }
    // As it was started, whatever its configuration says since.
    let cpus = status.instructions.isEmpty ? (try? settings(of: record).cpus) ?? 1 : status.instructions.count
    pool.adopt(
      .init(cpus: cpus, memory: Int64(clamping: status.memory - min(status.memory, status.balloonTarget))),
      of: record.id)
    let disks = (try? settings(of: record)).flatMap { try? serverDisks(record, $0) } ?? []
    connectDisks(record.id, disks, lost: status.lostDisks)
    follow(record.id, events)
    watchAgent(record.id)
    _ = try? await update(record.id) {
      $0.wanted = .running
      // It runs, so what it was to go on from is past.
      $0.stateful = false
      $0.volatile[Volatile.reverting] = nil
      $0.volatile[Volatile.stopping] = nil
      $0.statusCode = .running
      $0.pid = identity?.identifier
      $0.pidStartedAt = identity.map { Int64(clamping: $0.startTime) }
      $0.exit = nil
    }
    machines[record.id]?.memory = status.memory
    machines[record.id]?.cpus = cpus
    machines[record.id]?.group = group(record.id, of: identity?.identifier ?? 0, in: groups)
    await holdLimits(record)
    await holdMemory(record)
    await holdDiskSize(record)
    if record.volatile[Volatile.forked] != nil { settle(record.id) }
    services.logger.notice("\(record.name) goes on (process \(status.processID))")
    return true
  }

  private func noteAbsence(_ record: InstanceRecord) async {
    let exit = InstanceEnd.explainAbsence(
      Self.record(in: folder(of: record)), hostWasRestarted: isFirstOfBoot)
    let changed = try? await update(record.id) {
      // Nobody knows whether its guest has run on, and changed the disk since.
      if $0.statusCode == .starting { $0.stateful = false }
      $0.volatile[Volatile.reverting] = nil
      $0.statusCode = .stopped
      $0.pid = nil
      $0.pidStartedAt = nil
      $0.exit = exit
      if exit.reason != "host-restarted" { $0.wanted = .stopped }
    }
    services.logger.notice("\(record.name) has ended: \(exit.message)")
    guard record.ephemeral else {
      return await tell("stopped", changed ?? record, ["reason": .string(exit.reason)])
    }
    _ = try? await update(record.id) { $0.volatile[Volatile.pending] = Pending.deletion.rawValue }
    await discard(record)
  }

  /// Folders of instances that the store does not know.
  private func removeStrays(known: Set<String>) async {
    let path = "\(services.dataDirectory)/instances"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for name in names where !known.contains(name) && UUID(uuidString: name) != nil {
      services.logger.notice("the store knows nothing of \(path)/\(name): it is removed")
      let folder = InstanceFolder("\(path)/\(name)")
      await endStray(folder)
      try? await offThread("delete") { folder.remove() }
    }
  }

  /// Ends the machine of an instance that is to go.
  private func endStray(_ folder: InstanceFolder) async {
    try? await offThread("stray") {
      let control = try folder.withControlPath { try ControlClient(connectingTo: $0) }
      try control.call(.kill)
      // Its end shows.
      while try control.nextEvent(milliseconds: 5000) != nil {}
    }
  }

  // MARK: - The host's boots

  private nonisolated var bootFile: String { "\(services.dataDirectory)/instances/boot" }
  private nonisolated var bootIdentity: String? {
    try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
  }

  /// Whether the host has been started anew since a daemon was here.
  private nonisolated var hostWasRestarted: Bool {
    guard let last = try? String(contentsOfFile: bootFile, encoding: .utf8) else { return false }
    return last != bootIdentity
  }

  private func noteHost() async {
    let folder = "\(services.dataDirectory)/instances"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try? bootIdentity?.write(toFile: bootFile, atomically: true, encoding: .utf8)
  }
}
