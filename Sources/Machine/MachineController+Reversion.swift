internal import Devices
internal import GuestMemory
package import HostSystem
package import MachineControl

extension MachineController {
  /// Has the machine that runs become what was kept of one that is made as it is. No process ends and none starts, and
  /// what it was is given back to the host beside the guest.
  package func revert(_ reversion: Reversion, descriptors: [Descriptor]) throws(ControlFailure) {
    let (machine, devices) = try builtWithDevices()
    let board = machine.board
    let phase = "going back to what was kept"
    guard board.goesBack, devices.kernelNetwork == nil else {
      throw ControlFailure(
        .unsupported, phase: phase, message: "such a machine has to be started anew for that")
    }
    // What can be refused, while the guest runs.
    let bytes = try Self.stateBytes(descriptors[reversion.restoration.state])
    let state: MachineState
    do throws(MachineStateError) {
      state = try MachineState(decoding: bytes)
      try state.check(fits: MachineState.Build(board))
    } catch {
      throw ControlFailure(.invalidConfiguration, phase: phase, message: error.description)
    }
    let files = reversion.restoration.memory.map { descriptors[$0] }
    let opened = try devices.open(reversion.disks, descriptors, phase: phase)

    let outcome = machine.rest(thenRun: false) { () -> Result<Void, ControlFailure> in
      board.resetDevices()
      devices.forgetConnections()
      board.forgetMemory()
      board.forgetContents()
      // What was written last is written out, and nobody waits for what nobody will read.
      var former: [DiskStorage.Opened]? = devices.replace(opened)
      Leftovers.drop(&former)
      do {
        try board.restore(state, memory: files)
        return .success(())
      } catch { return .failure(ControlFailure(.hostRefused, phase: phase, message: "\(error)")) }
    }
    guard let outcome else {
      throw ControlFailure(.wrongState, phase: phase, message: "the machine has ended")
    }
    try outcome.get()
    machine.resume()
  }
}
