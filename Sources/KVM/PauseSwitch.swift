internal import Synchronization

/// Whether a machine's CPUs must hold still; shared by all of them.
final class PauseSwitch: Sendable {
  private let on = Atomic<Bool>(false)

  var isOn: Bool { on.load(ordering: .sequentiallyConsistent) }

  func set(_ value: Bool) { on.store(value, ordering: .sequentiallyConsistent) }
}
