/// A device whose state outlives the process in a snapshot.
///
/// State is a plain value with a kind and a version; the snapshot's format is the snapshot's own affair.
/// Setting it is a trust boundary: whatever no sequence of register accesses could have left there is
/// brought into range, and then outputs (interrupt lines, timers) follow the new state.
package protocol StatefulDevice: Device {
  associatedtype State: Codable, Equatable, Sendable

  /// Names the state's type in a snapshot, such as `ns16550a`.
  static var stateKind: String { get }
  /// Grows with every change of the state's meaning.
  static var stateVersion: Int { get }

  var state: State { get set }
}
