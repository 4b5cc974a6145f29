package import HostSystem
package import MachineControl

/// A machine that was started for an instance: its process goes on without us.
package struct StartedMachine {
  /// Ours to reap as long as we run.
  package let process: ChildProcess
  /// The process that plays its network; it ends with the machine.
  package let network: ChildProcess?
  package let control: ControlClient
  /// The port over which the guest's first process is asked to end.
  package let port: UnixSocket
  /// The packet socket on which the machine is handed connections to the guest's sockets (`GuestPortMessage`).
  package let broker: UnixSocket
  /// What executes guest code and why, in a line, where that depends on the host.
  package let engine: String?
  /// What is not as it should be and does not keep it from running: lines for a person.
  package let remarks: [String]
}
