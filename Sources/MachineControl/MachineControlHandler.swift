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
  /// Holds a disk, named by its serial number, to rates.
  func limitDisk(_ serial: String, _ rates: DiskRates) throws(ControlFailure)
  func resizeDisk(_ serial: String, to size: UInt64) throws(ControlFailure)
  func status() throws(ControlFailure) -> MachineStatus
  /// Joins a stream to the serial console, first with up to `backlog` bytes of what there was.
  func attachConsole(_ stream: UnixSocket, backlog: UInt32) throws(ControlFailure)
  /// Gives a port of the virtio console another stream.
  func attach(_ stream: UnixSocket, toPort name: String) throws(ControlFailure)
  /// Gives the socket device another packet socket to the process that opens sockets for it.
  func attachBroker(_ broker: UnixSocket) throws(ControlFailure)
  /// Gives a disk on a server, named by its serial number, another connection.
  func attach(_ connection: UnixSocket, toDisk serial: String) throws(ControlFailure)
  /// Keeps what the machine is now; the checkpoint was validated against the descriptors. Returns the files of the
  /// guest's memory, if they are to be shared.
  func checkpoint(
    _ checkpoint: Checkpoint, descriptors: [Descriptor]
  ) throws(ControlFailure) -> [Descriptor]
  /// Gives a mirrored disk, named by its serial number, the side that it lacks; the side was validated against the
  /// descriptors.
  func attach(
    _ side: MachineConfiguration.Disk.Side, to disk: String, descriptors: [Descriptor]
  ) throws(ControlFailure)
  /// Has the machine become what was kept; the reversion was validated against the descriptors.
  func revert(_ reversion: Reversion, descriptors: [Descriptor]) throws(ControlFailure)
}

extension MachineControlHandler {
  package func attach(
    _ side: MachineConfiguration.Disk.Side, to disk: String, descriptors: [Descriptor]
  ) throws(ControlFailure) {
    throw ControlFailure(.unsupported, phase: "attaching a side", message: "the machine mirrors no disk")
  }
}
