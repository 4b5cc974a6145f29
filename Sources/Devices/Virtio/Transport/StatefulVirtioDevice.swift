/// A virtio device that has state beside its transport's registers: what its driver was told, or told it, by other ways.
///
/// It is taken while the device rests, and set before the transport's; setting it is a trust boundary, as with
/// ``StatefulDevice``.
package protocol StatefulVirtioDevice: VirtioDevice {
  associatedtype State: Codable, Equatable, Sendable

  /// Names the state's type in a snapshot, such as `virtio,block`.
  static var stateKind: String { get }
  /// Grows with every change of the state's meaning.
  static var stateVersion: Int { get }

  var state: State { get set }
}
