package import Devices
package import GuestMemory

/// What a board is made of, beside its CPUs and its memory.
package struct BoardBuild: Equatable, Sendable {
  package var board: String
  package var engine: String
  package var processors: String
  /// The kinds of its virtio devices, in order.
  package var devices: [String]
}

/// A board with its CPUs, as a machine's lifecycle drives it, whatever executes its guest.
///
/// CPUs run on threads that the machine starts: ``runCPU(_:)`` goes on until the board is halted. What a guest
/// asks of its machine the board tells by ``BoardConnections``, from those threads.
package protocol MachineBoard: AnyObject, Sendable {
  var memory: GuestMemory { get }
  /// Which pages of it are written, whoever writes them.
  var dirtyLog: DirtyLog { get }
  /// The serial port, of which every board has one.
  var serial: UART16550 { get }
  /// Virtual CPUs; each has a thread of its own while the machine runs.
  var cpuCount: Int { get }

  /// Power-on: all devices and CPUs as they start, the guest in memory, the first CPU about to enter it. No CPU
  /// may run. Without a guest the board's firmware starts what it finds.
  func powerOn(_ guest: LinuxGuest?) throws(BootError)

  /// Runs a CPU on the calling thread. Returns soon after the board was halted, and at once while it is.
  func runCPU(_ number: Int)

  /// Halts the CPUs, or lets them be run again. Does not wait for them; from any thread.
  func setHalted(_ isHalted: Bool)

  /// What has to go on beside the CPUs, on a thread of its own, until ``end()``.
  func runTimer()

  /// What the board is made of, for who goes on from its state.
  var build: BoardBuild { get }

  /// Names the parts of its state, to keep them or to go on from them: while no CPU runs and devices rest. Memory is
  /// what it was before they are gone on from.
  func name(parts: inout StateParts) throws

  /// Has whoever may write memory without asking, or has mapped its file, forget that. No CPU may run.
  func forgetMemory()

  /// Whether a machine that has run can go on from another state.
  var goesBack: Bool { get }

  /// Brings the devices to where they are after power-on. No CPU may run.
  func resetDevices()

  /// Forgets what was derived from memory, all of which is about to change. No CPU may run.
  func forgetContents()

  /// Says that the guest goes on as another machine than it was; does nothing on a board that has no way to.
  func renewGeneration()

  /// Presses the power button, by which a guest is asked to switch itself off; false on a board that has none.
  func pressPowerButton() -> Bool

  /// The end of the CPUs, whose threads have ended, and of the timer.
  func end()

  /// Ends the devices' workers.
  func stopDevices()

  /// Guest instructions retired by each CPU; none where the engine does not count them.
  var instructionsRetired: [UInt64] { get }
  /// Times that guest code was left to handle something elsewhere.
  var exits: UInt64 { get }
  /// Bytes of translated code; 0 where there is none.
  var codeBytes: UInt64 { get }
}
