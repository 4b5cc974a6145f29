package import HostSystem

/// What a machine does on request. Called from the one thread that serves the control socket.
package protocol MachineControlHandler: AnyObject {
  /// Builds the machine. The configuration was validated against the descriptors.
  func configure(
    _ configuration: MachineConfiguration, descriptors: [Descriptor]
  ) throws(ControlFailure)
  func start() throws(ControlFailure)
  func stop() throws(ControlFailure)
  func kill() throws(ControlFailure)
  func pause() throws(ControlFailure)
  func resume() throws(ControlFailure)
  func reset() throws(ControlFailure)
  /// Characters.
  func resizeConsole(columns: UInt16, rows: UInt16) throws(ControlFailure)
  /// Bytes the guest should be left with.
  func setBalloon(target: UInt64) throws(ControlFailure)
  func status() throws(ControlFailure) -> MachineStatus
}
