internal import Devices
internal import GuestMemory
package import HostSystem
package import MachineControl

extension MachineController {
  /// Holds the machine still, keeps what it is, and lets it go on.
  package func checkpoint(
    _ checkpoint: Checkpoint, descriptors: [Descriptor]
  ) throws(ControlFailure) -> [Descriptor] {
    let (machine, devices) = try builtWithDevices()
    // Its requests would have to be waited for, and the guest with them.
    if let serial = devices.lostDisks.first {
      throw ControlFailure(
        .wrongState, phase: "keeping the machine", message: "the disk \(serial) waits for its server")
    }
    let result = machine.rest(thenRun: checkpoint.sequel == .resume) {
      () -> Result<[Descriptor], ControlFailure> in
      // CPUs first: nothing is asked of devices any more that they could not finish.
      for device in devices.all { device.hold() }
      defer { for device in devices.all { device.release() } }
      return Result { () throws(ControlFailure) in
        try self.keep(checkpoint, descriptors, machine, devices)
      }
    }
    guard let result else {
      throw ControlFailure(.wrongState, phase: "keeping the machine", message: "the machine has ended")
    }
    return try result.get()
  }

  /// Everything rests. What can be refused comes first; what cannot be taken back, last.
  private func keep(
    _ checkpoint: Checkpoint, _ descriptors: [Descriptor], _ machine: VirtualMachine,
    _ devices: ConfiguredDevices
  ) throws(ControlFailure) -> [Descriptor] {
    var kept: (layers: GuestMemory.Layers, state: [UInt8])?
    if checkpoint.state != nil {
      guard !devices.waitForRoom else {
        throw ControlFailure(
          .wrongState, phase: "keeping the machine's state",
          message: "a disk waits for room on the host: make some first")
      }
      kept = try freeze(machine)
    }
    if let kept, let index = checkpoint.state {
      try ControlFailure.host("writing the machine's state") { () throws(Errno) in
        try descriptors[index].truncate(to: 0)
        try descriptors[index].writeAll(kept.state[...], at: 0)
        try descriptors[index].synchronize()
      }
    }
    try devices.replace(checkpoint.disks, descriptors)
    guard let kept else { return [] }
    if let index = checkpoint.memory {
      let send = send
      let isBegun = try ControlFailure.host("writing the guest's memory") { () throws(Errno) in
        try memoryKeeper.keep(kept.layers, size: machine.board.memory.size, in: descriptors[index]) {
          send(.memoryKept(failure: $0?.description))
        }
      }
      guard isBegun else {
        throw ControlFailure(
          .wrongState, phase: "writing the guest's memory",
          message: "what was kept last is still being written")
      }
    }
    return checkpoint.sharesMemory ? kept.layers.files : []
  }

  /// Freezes the guest's memory, and says what CPUs and devices are.
  private func freeze(
    _ machine: VirtualMachine
  ) throws(ControlFailure) -> (layers: GuestMemory.Layers, state: [UInt8]) {
    let board = machine.board
    var parts = StateParts()
    do {
      try board.name(parts: &parts)
    } catch {
      throw ControlFailure(.unsupported, phase: "keeping the machine's state", message: "\(error)")
    }
    let layers = try ControlFailure.host("freezing the guest's memory") { () throws(Errno) in
      board.forgetMemory()
      return try board.memory.freeze()
    }
    let state = MachineState(build: MachineState.Build(board), memory: layers, parts: parts.parts)
    do throws(MachineStateError) { return (layers, try state.encoded()) } catch {
      throw ControlFailure(.hostRefused, phase: "keeping the machine's state", message: error.description)
    }
  }

  /// Has a machine that was built go on from what was kept of one.
  func restore(
    _ machine: VirtualMachine, from restoration: MachineConfiguration.Restoration, _ descriptors: [Descriptor]
  ) throws(ControlFailure) {
    let phase = "going on from what was kept"
    do {
      let state = try MachineState(decoding: try Self.stateBytes(descriptors[restoration.state]))
      try machine.board.restore(state, memory: restoration.memory.map { descriptors[$0] })
    } catch let error as ControlFailure {
      throw error
    } catch let error as Errno {
      throw ControlFailure(
        .invalidConfiguration, phase: phase, message: "the guest's memory does not fit: \(error)")
    } catch MachineStateError.differs(let what, let kept, let here) {
      let error = MachineStateError.differs(what, kept: kept, here: here)
      throw ControlFailure(.invalidConfiguration, phase: phase, message: error.description)
    } catch { throw ControlFailure(.hostRefused, phase: phase, message: "\(error)") }
  }
}

extension MachineController {
  static func stateBytes(_ file: Descriptor) throws(ControlFailure) -> [UInt8] {
    try ControlFailure.host("reading the machine's state") { () throws(Errno) in
      let size = Int(clamping: try file.size())
      return try file.read(min(size, MachineState.mostBytes), at: 0)
    }
  }
}

extension MachineBoard {
  /// Brings the board to what a state says, over the files of its memory: one with all of it, or those that it was in.
  package func restore(_ state: MachineState, memory files: [Descriptor]) throws {
    try state.check(fits: MachineState.Build(self))
    let sources = state.memory.sources.bytes
    try memory.adopt(
      GuestMemory.Layers(
        files: files, chunkShift: state.memory.chunkShift,
        sources: files.count == state.memory.files ? sources : sources.map { _ in 0 }))
    var parts = StateParts(restoring: state)
    try name(parts: &parts)
    try parts.finish()
    renewGeneration()
  }
}

extension MachineState.Build {
  package init(_ board: any MachineBoard) {
    let build = board.build
    self.init(
      board: build.board, engine: build.engine, processors: build.processors, cpus: board.cpuCount,
      memory: UInt64(board.memory.size), devices: build.devices)
  }
}
