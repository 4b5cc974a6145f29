package import Devices

/// What a board is connected to outside. All of it is called from threads of its CPUs and devices, which it must
/// not wait for.
package struct BoardConnections: Sendable {
  /// A character that the guest wrote to its serial port.
  package var serialOutput: @Sendable (UInt8) -> Void = { _ in }
  /// The serial port has room again for what was not taken.
  package var serialHasRoom: @Sendable () -> Void = {}
  /// The guest used the power switch.
  package var power: @Sendable (PowerRequest) -> Void = { _ in }
  /// The guest's kernel says that it gave up.
  package var crashed: @Sendable () -> Void = {}
  /// A CPU cannot go on; why.
  package var failed: @Sendable (String) -> Void = { _ in }
  /// Something worth a line in the log.
  package var report: @Sendable (String) -> Void = { _ in }

  package init() {}
}
