internal import GRDB
internal import HostSystem
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Machines that are kept as they are, memory and devices included, and go on from that.
extension Instances {
  /// What the next start of an instance goes on from, where its row says so (`stateful`).
  func keptForStart(_ record: InstanceRecord) -> KeptMachine { folder(of: record).kept("start") }

  /// What a snapshot has.
  func kept(_ snapshot: SnapshotRecord) -> KeptMachine {
    InstanceFolder("\(services.dataDirectory)/instances/\(snapshot.instance)").kept(snapshot.id)
  }

  /// A machine of which a moment is being kept.
  struct Keeping: Sendable {
    enum Place: Sendable {
      /// In files that stay.
      case files(KeptMachine)
      /// In memory that other machines go on from, shared until it is written.
      case memory
    }

    fileprivate let place: Place
    fileprivate let build: KeptMachine.Build
    fileprivate let state: Descriptor
    /// The guest's memory, where it is shared.
    fileprivate let memory: [Descriptor]
    /// What comes of writing it, where it is not.
    fileprivate let outcomes: AsyncStream<String?>
  }

  /// Has a machine keep a moment; when this returns, it has, and its memory is being written. `descriptors` are the
  /// checkpoint's; those of state and memory are added. Only within ``exclusively(_:_:_:)``.
  func beginKeeping(
    _ id: String, in place: Keeping.Place, _ checkpoint: Checkpoint, _ descriptors: [Descriptor]
  ) async throws -> Keeping {
    guard let machine = machines[id] else { throw APIError.conflict("the instance does not run") }
    let (outcomes, continuation) = AsyncStream.makeStream(of: String?.self)
    machines[id]?.memoryKept = continuation
    do {
      var checkpoint = checkpoint
      var descriptors = descriptors
      let state: Descriptor
      checkpoint.state = descriptors.count
      switch place {
      case .files(let kept):
        let files = try await offThread("keep") { try kept.make() }
        state = files.state
        checkpoint.memory = descriptors.count + 1
        descriptors += [state, files.memory]
      case .memory:
        state = try Descriptor.memory(name: "state")
        checkpoint.sharesMemory = true
        descriptors.append(state)
      }
      let memory = try await machine.link.checkpoint(checkpoint, descriptors: descriptors)
      let build = KeptMachine.Build(cpus: machine.cpus, memory: machine.memory)
      return Keeping(place: place, build: build, state: state, memory: memory, outcomes: outcomes)
    } catch {
      machines[id]?.memoryKept = nil
      await remove(place)
      throw error
    }
  }

  private func remove(_ place: Keeping.Place) async {
    if case .files(let kept) = place { try? await offThread("keep") { kept.remove() } }
  }

  /// Waits until what a machine keeps is written. Returns what others go on from, if that is shared.
  @discardableResult
  func finishKeeping(_ keeping: Keeping, of id: String) async throws -> KeptMachine.Opened? {
    defer { machines[id]?.memoryKept = nil }
    guard case .files(let kept) = keeping.place else {
      return KeptMachine.Opened(state: keeping.state, memory: keeping.memory, build: keeping.build)
    }
    do {
      var isKept = false
      for await failure in keeping.outcomes {
        if let failure { throw APIError(.failed, "the guest's memory could not be written: \(failure)") }
        isKept = true
        break
      }
      guard isKept else { throw APIError(.failed, "the machine ended while its memory was written") }
      try await offThread("keep") { try kept.complete(keeping.build) }
      return nil
    } catch {
      await remove(keeping.place)
      throw APIError(host: error)
    }
  }

  /// The guest's memory is in its file, or why it is not.
  func memoryKept(_ failure: String?, of id: String) { machines[id]?.memoryKept?.yield(failure) }

  // MARK: - Stop

  /// Keeps a machine for the next start, and ends it.
  func stopKeeping(_ record: InstanceRecord, _ context: OperationContext) async throws {
    try await exclusively(record, "stopped") {
      guard let machine = await self.machines[record.id] else {
        throw APIError.conflict("the instance `\(record.name)` does not run")
      }
      context.progress("keeping the machine")
      let kept = await self.keptForStart(record)
      do {
        let keeping = try await self.beginKeeping(record.id, in: .files(kept), Checkpoint(sequel: .stay), [])
        try await self.finishKeeping(keeping, of: record.id)
        _ = try await self.update(record.id) { $0.stateful = true }
      } catch {
        // It was held still for that.
        if !machine.isPaused { _ = try? await machine.link.call(.resume) }
        throw APIError(host: error)
      }
      await self.noteKept(record.id)
      try await self.end(record.id, seconds: 0, force: true, context)
    }
  }

  private func noteKept(_ id: String) { machines[id]?.endWanted = .keep }

  // MARK: - Going on

  /// What an instance that was stopped so goes on from; nil for any other.
  func openKept(_ record: InstanceRecord) async throws -> KeptMachine.Opened? {
    guard record.stateful else { return nil }
    let kept = keptForStart(record)
    do { return try await offThread("keep") { try kept.open() } } catch {
      throw APIError(
        .failed, "what was kept of the machine of `\(record.name)` cannot be read: \(error)",
        wayOut: "`volary start --stateless \(record.name)` starts it anew")
    }
  }

  /// The machine that was to go on has: the files are its own now.
  func dropKept(_ record: InstanceRecord) async {
    guard record.stateful else { return }
    let kept = keptForStart(record)
    try? await offThread("keep") { kept.remove() }
  }

  /// Has the next start of an instance begin anew.
  func forgetKept(_ record: InstanceRecord) async throws {
    _ = try await update(record.id) { $0.stateful = false }
    let kept = keptForStart(record)
    try await offThread("keep") { kept.remove() }
  }

  /// Removes what is kept for nobody, such as by a daemon that died amid it.
  func removeStrayKept(of records: [InstanceRecord]) async {
    guard let snapshots = try? await services.store.read({ try SnapshotRecord.fetchAll($0) }) else { return }
    let known = Set(snapshots.map(\.id))
    let folders = records.map { (folder(of: $0), $0.stateful) }
    try? await offThread("keep") {
      for (folder, isStateful) in folders {
        for name in folder.keptNames where !known.contains(name) && !(name == "start" && isStateful) {
          folder.kept(name).remove()
        }
      }
    }
  }
}
