internal import Devices
internal import Synchronization

/// The machine's generation ID, and where its guest reads it. A restart leaves it as it is: the guest forgets by itself
/// what it drew from it.
final class GenerationCounter: Sendable {
  private struct State {
    var identifier = HostEntropy.bytes(VMGenerationID.size)
    var place: VMGenerationID?
  }

  private let state = Mutex(State())

  var identifier: [UInt8] { state.withLock { $0.identifier } }

  /// Where the guest reads it; nil before ACPI's tables are in memory.
  var place: VMGenerationID? {
    get { state.withLock { $0.place } }
    set { state.withLock { $0.place = newValue } }
  }

  /// Makes a new one, and returns where it belongs.
  func renew() -> VMGenerationID? {
    state.withLock {
      $0.identifier = HostEntropy.bytes(VMGenerationID.size)
      return $0.place
    }
  }
}
