internal import Devices
internal import GuestMemory
internal import RISCV

/// The board as a machine's lifecycle drives it.
extension VirtBoard: MachineBoard {
  package var cpuCount: Int { cluster.harts.count }

  package func powerOn(_ guest: LinuxGuest?) throws(BootError) {
    guard let guest else { throw .noKernel }
    let layout = try LinuxLoader.load(
      kernel: guest.kernel, initrd: guest.initrd, memory: memory, base: VirtMap.memory)
    let tree = deviceTree(layout, commandLine: guest.commandLine, entropySeed: guest.entropySeed).blob()
    guard UInt64(tree.count) <= LinuxLoader.deviceTreeRoom,
      let slice = try? memory.slice(at: layout.deviceTree, count: tree.count)
    else { throw .kernelDoesNotFit(needed: UInt64(tree.count), memory: UInt64(memory.size)) }
    tree.withUnsafeBytes { slice.copy(from: $0) }
    reset(entering: layout)
  }

  package func runCPU(_ number: Int) { cluster.harts[number].run() }
  package func setHalted(_ isHalted: Bool) { cluster.setHalted(isHalted) }
  package func runTimer() { cluster.runTimer() }
  package func pressPowerButton() -> Bool { false }
  package func renewGeneration() {}
  package func end() { cluster.end() }

  package var instructionsRetired: [UInt64] { cluster.harts.map(\.instructionsRetired) }
  package var codeBytes: UInt64 { cluster.codeBytes }
  package var exits: UInt64 { cluster.harts.reduce(0) { $0 + $1.exits } }
}
