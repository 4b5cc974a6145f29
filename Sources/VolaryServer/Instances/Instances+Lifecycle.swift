internal import AgentProtocol
internal import GRDB
internal import Glibc
internal import HostSystem
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

extension Instances {
  /// Seconds that a guest is given to end unless somebody says otherwise.
  static let patience = 30

  // MARK: - Requests

  /// What is to become of an instance.
  func setState(
    _ name: String, project: String, _ put: InstanceStatePut, by identity: Identity
  ) async throws -> OperationObject {
    let record = try await find(name, project: project)
    let isRunning = machines[record.id] != nil
    switch put.action {
    case .start where isRunning: throw APIError.conflict("the instance `\(name)` runs already")
    case .stop where !isRunning, .restart where !isRunning, .freeze where !isRunning,
      .unfreeze where !isRunning:
      throw APIError.conflict("the instance `\(name)` does not run", wayOut: "start it first")
    default: break
    }
    let seconds = put.timeout.flatMap { $0 < 0 ? nil : $0 } ?? Self.patience
    let force = put.force ?? false
    let words: [InstanceStatePut.Action: String] = [
      .start: "Starting instance", .stop: "Stopping instance", .restart: "Restarting instance",
      .freeze: "Freezing instance", .unfreeze: "Unfreezing instance",
    ]
    return try await services.operations.create(
      words[put.action] ?? "", project: project, resources: ["instances": [Self.path(record)]],
      requestor: identity
    ) { context in
      switch put.action {
      case .start:
        if put.stateful == false, record.stateful { try await self.forgetKept(record) }
        try await self.start(record.id, context)
      case .stop where put.stateful == true: try await self.stopKeeping(record, context)
      case .stop: try await self.stop(record, seconds: seconds, force: force, context)
      case .restart:
        try await self.stop(record, seconds: seconds, force: force, context, isRestart: true)
        try await self.start(record.id, context)
      case .freeze: try await self.setFrozen(record, true)
      case .unfreeze: try await self.setFrozen(record, false)
      }
      return [:]
    }
  }

  // MARK: - Start

  /// Starts an instance's machine, and returns when it runs.
  /// From `kept`, or from what was kept at its last stop, or anew.
  func start(
    _ id: String, _ context: OperationContext? = nil, from kept: KeptMachine.Opened? = nil
  ) async throws {
    guard let record = try await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }) else {
      throw APIError.notFound("the instance is gone")
    }
    await leaveOffRebuilding(of: id)
    try await exclusively(record, "started") {
      guard await self.machines[id] == nil else { return }
      context?.progress("starting the machine")
      let settings = try await self.settings(of: record)
      var record = record
      Self.nameCard(&record, settings)
      try await self.checkPool(record.pool)
      try await self.leaveOffMerging(for: record)
      if let size = settings.diskSize { try await self.growDisk(of: record, to: size) }
      if let top = record.layer { await self.sealBeneath(top) }
      let disk = try await self.disk(of: self.current(id))
      try await self.checkMirror(disk, record)
      var plan = try await self.plan(record, settings, disk)
      plan.volumes = try await self.attachedDisks(record, settings)
      plan.serverDisks = try await self.serverDisks(record, settings)
      plan.restoration = if let kept { kept } else { try await self.openKept(record) }
      if let build = plan.restoration?.build { (plan.cpus, plan.memory) = (build.cpus, build.memory) }
      try await self.admit(record, plan, try await self.ratios())
      let (names, isAnew) = (record.volatile, plan.restoration == nil)
      do {
        // What a device on the host will be called is written down before it is made.
        record = try await self.update(id) {
          $0.wanted = .running
          $0.statusCode = .starting
          $0.volatile = names
          // A guest that starts anew knows no other name.
          if isAnew { $0.volatile[Volatile.forked] = nil }
        }
        try await self.begin(record, plan)
        if !isAnew { await self.settle(id) }
        await self.dropKept(record)
      } catch {
        await self.withdraw(id)
        let failure = APIError(host: error)
        _ = try? await self.update(id) {
          $0.wanted = .stopped
          $0.statusCode = .stopped
          $0.exit = InstanceExit(reason: "not-started", message: failure.message, at: .now)
        }
        throw failure
      }
    }
  }

  private func plan(
    _ record: InstanceRecord, _ settings: InstanceSettings, _ disk: DiskChain?
  ) throws -> InstancePlan {
    if let total = HostMemory.total, settings.memory > total {
      throw APIError(
        .unprocessable,
        "\(ByteSize(bytes: settings.memory)) of memory are more than the \(total >> 20)MiB of this host",
        wayOut: "set limits.memory to less")
    }
    let folder = folder(of: record)
    let address = Self.hardwareAddress(record.volatile[Volatile.hardwareAddress(settings.card)])
    let size = record.volatile[Volatile.imageDiskSize].flatMap { UInt64($0) } ?? 0
    var plan = InstancePlan(
      name: record.name, folder: folder, disk: disk, architecture: Self.architecture(of: record),
      engine: settings.engine,
      cpus: settings.cpus, memory: settings.memory, network: settings.network,
      hardwareAddress: address ?? InstancePlan.makeHardwareAddress(),
      hostDevice: record.volatile[Volatile.hostName(settings.card)] ?? InstancePlan.makeHostDevice(),
      growsDisk: settings.diskSize ?? 0 > size, append: settings.append, identifier: record.id,
      cloudInit: settings.cloudInit)
    plan.diskCache = settings.diskCache
    return plan
  }

  private func begin(_ record: InstanceRecord, _ plan: InstancePlan) async throws {
    var plan = plan
    plan.group = groups?.group(record.id)
    let wanted = plan
    let (events, continuation) = AsyncStream.makeStream(of: MachineLink.Event.self)
    let logger = services.logger
    let (link, process, network) = try await offThread("start") {
      do {
        let machine = try InstanceStarter.start(wanted)
        for remark in machine.remarks { logger.warning("\(remark)") }
        let link = try MachineLink(machine) { continuation.yield($0) }
        return (link, machine.process, machine.network)
      } catch { throw APIError(host: error) }
    }
    let identity = ForeignProcess.Identity(of: process.identifier)
    machines[record.id] = RunningMachine(
      link: link, identity: identity, process: process, network: network, startedAt: .now,
      architecture: plan.architecture)
    machines[record.id]?.memory = plan.memory
    machines[record.id]?.cpus = plan.cpus
    machines[record.id]?.group = group(record.id, of: process.identifier, in: groups)
    connectDisks(record.id, plan.serverDisks)
    refusals[record.id] = nil
    follow(record.id, events)
    watchAgent(record.id)
    let startedWith = StartedWith(record, profiles(of: record)).text
    let started = try await update(record.id) {
      $0.volatile[Volatile.started] = startedWith
      $0.volatile[Volatile.reverting] = nil
      $0.volatile[Volatile.stopping] = nil
      $0.stateful = false
      $0.statusCode = .running
      $0.pid = identity?.identifier
      $0.pidStartedAt = identity.map { Int64(clamping: $0.startTime) }
      $0.startedAt = .now
      $0.lastUsedAt = .now
      $0.exit = nil
    }
    await holdLimits(record)
    await tell("started", started)
    await noteMirrors(started)
  }

  /// Carries what a machine tells to the actor, in its order.
  func follow(_ id: String, _ events: AsyncStream<MachineLink.Event>) {
    Task {
      for await event in events {
        switch event {
        case .machine(let event): await self.take(event, of: id)
        case .closed:
          await self.finish(id)
          return
        }
      }
    }
  }

  private func take(_ event: ControlEvent, of id: String) async {
    switch event {
    case .guestReset:
      if let record = try? await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }) {
        await tell("restarted", record)
      }
    case .diskFailed(let disk, let operation, let errorNumber):
      machines[id]?.trouble = Condition(
        type: "DiskTrouble", status: true, reason: "HostRefused",
        message: "the host could not \(operation) the disk `\(disk)`: \(Errno(errorNumber))")
    case .diskLost(let disk, let reason): diskLost(disk, reason, of: id)
    case .diskReturned(let disk): diskReturned(disk, of: id)
    case .diskFull(let disk, let isFull): await note(id, disk: disk, isFull: isFull)
    case .warning(let line): services.logger.warning("\(line)", metadata: ["instance": "\(id)"])
    case .mirrorChanged(let status): await take(status, of: id)
    case .memoryKept(let failure): memoryKept(failure, of: id)
    case .started, .guestPoweredOff, .guestPanicked, .failed: break
    }
  }

  // MARK: - End

  private func stop(
    _ record: InstanceRecord, seconds: Int, force: Bool, _ context: OperationContext, isRestart: Bool = false
  ) async throws {
    try await exclusively(record, isRestart ? "restarted" : "stopped") {
      try await self.end(record.id, seconds: seconds, force: force, context)
    }
  }

  /// Has a machine end, and waits for it.
  func end(_ id: String, seconds: Int, force: Bool, _ context: OperationContext? = nil) async throws {
    guard let machine = machines[id] else { return }
    let name = (try? await services.store.read { try InstanceRecord.fetchOne($0, key: id)?.name }) ?? id
    if machine.isFrozen, !force {
      let reason = machine.standstill(of: name)
      throw APIError.conflict(
        reason.message, wayOut: (reason.wayOut.map { "\($0), or " } ?? "") + "stop it with --force")
    }
    if !force {
      context?.progress("asking the guest to end")
      machines[id]?.endWanted = .stop
      if machine.architecture == .amd64 { _ = try? await machine.link.call(.stop) }
      if await askToEnd(id, machine, seconds: Double(seconds)) { return }
      machines[id]?.endWanted = nil
      throw APIError(
        .timedOut, "the guest of `\(name)` has not ended in \(seconds) seconds",
        wayOut: "give it more time with --timeout, or cut its power with --force")
    }
    context?.progress("ending the machine")
    if machine.endWanted != .keep { machines[id]?.endWanted = .kill }
    _ = try? await machine.link.call(.kill)
    if await waitForEnd(of: id, seconds: 5) { return }
    // It does not even do that.
    if let identity = machine.identity { try? ForeignProcess(identity)?.signal(SIGKILL) }
    if await waitForEnd(of: id, seconds: 5) { return }
    throw APIError(.failed, "the process of `\(name)` does not end")
  }

  /// Asks the guest to end until it does, for so long: one that was just started does not hear it yet.
  private func askToEnd(_ id: String, _ machine: RunningMachine, seconds: Double) async -> Bool {
    let deadline = ContinuousClock.now + .seconds(seconds)
    var hasAgentHeard = false
    repeat {
      machine.link.askGuestToEnd()
      if !hasAgentHeard { hasAgentHeard = await askAgentToEnd(id) }
      let left = (deadline - .now) / .seconds(1)
      if await waitForEnd(of: id, seconds: min(2, max(left, 0.1))) { return true }
    } while ContinuousClock.now < deadline
    return false
  }

  /// Waits for the end of a machine, for so long; false when it goes on.
  private func waitForEnd(of id: String, seconds: Double) async -> Bool {
    guard machines[id] != nil else { return true }
    let ticket = nextTicket()
    let timer = Task {
      try? await Task.sleep(for: .seconds(seconds))
      self.giveUp(id, ticket)
    }
    defer { timer.cancel() }
    return await withCheckedContinuation { machines[id]?.waiting[ticket] = $0 }
  }

  private func giveUp(_ id: String, _ ticket: UInt64) {
    machines[id]?.waiting.removeValue(forKey: ticket)?.resume(returning: false)
  }

  /// A machine has ended, whyever.
  private func finish(_ id: String) async {
    guard let machine = machines.removeValue(forKey: id) else { return }
    pool.release(id)
    machine.memoryKept?.finish()
    machine.connector?.stop()
    defer { for waiter in machine.waiting.values { waiter.resume(returning: true) } }
    guard let record = try? await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }) else {
      return
    }
    let last = await self.exit(of: record, machine)
    await settleHanded(id, isRunning: false)
    await refreshMirrors(of: id)
    defer { Task { await mergeLayers() } }
    machine.network?.terminate()
    let shortage = await dissolve(machine.group ?? groups?.group(id))
    let goesOn = hostGoesDown
    let exit =
      goesOn
      ? InstanceExit(reason: "host-shutdown", message: "the host was shut down: \(last.message)", at: last.at)
      : last.reason == "process-ended" ? shortage ?? last : last
    let ended = try? await update(id) {
      if !goesOn { $0.wanted = .stopped }
      $0.statusCode = .stopped
      $0.pid = nil
      $0.pidStartedAt = nil
      $0.exit = exit
    }
    await tell(
      exit.reason == "guest-shutdown" || exit.reason == "stopped" ? "shutdown" : "stopped", ended ?? record,
      [
        "reason": .string(exit.reason)
      ])
    guard record.ephemeral, !machine.staysAtEnd else { return }
    _ = try? await update(id) { $0.volatile[Volatile.pending] = Pending.deletion.rawValue }
    await discard(record)
    await tell("deleted", record)
  }

  /// Why a machine ended: by its own last word, or by what its process left.
  private func exit(of record: InstanceRecord, _ machine: RunningMachine) async -> InstanceExit {
    let folder = folder(of: record)
    let process = machine.process
    let (event, ending) =
      (try? await offThread("exit") { () -> (ControlEvent?, ChildProcess.Exit?) in
        let ending = process?.wait(milliseconds: 5000)
        return (Self.record(in: folder), ending)
      }) ?? (nil, nil)
    return InstanceEnd.explain(event, wanted: machine.endWanted, ending)
  }

  /// The last word of the machine in a folder; nil when it left none.
  static func record(in folder: InstanceFolder) -> ControlEvent? {
    guard let file = try? Descriptor.open(folder.end, O_RDONLY) else { return nil }
    return try? EndRecord.read(from: file)
  }

  private func setFrozen(_ record: InstanceRecord, _ isFrozen: Bool) async throws {
    try await exclusively(record, isFrozen ? "paused" : "resumed") {
      guard let machine = await self.machines[record.id] else {
        throw APIError.conflict("the instance `\(record.name)` does not run")
      }
      do { try await machine.link.call(isFrozen ? .pause : .resume) } catch { throw APIError(host: error) }
      await self.note(record.id, isPaused: isFrozen)
      if isFrozen { return }
      if let machine = await self.machines[record.id], machine.isFrozen {
        throw machine.standstill(of: record.name)
      }
      await self.setClock(record.id)
    }
    await tell(isFrozen ? "paused" : "resumed", record)
  }

  private func note(_ id: String, isPaused: Bool) { machines[id]?.isPaused = isPaused }
}
