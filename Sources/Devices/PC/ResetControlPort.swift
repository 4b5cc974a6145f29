internal import Synchronization

/// The reset control register of PC chipsets (Intel 82371AB data sheet, section 4.2.1.18). It lies among the ports of
/// the PCI bus's configuration space: see ``PCIHostBridge/portMapping(resetControl:)``.
package final class ResetControlPort: PortDevice {
  package struct State: Codable, Equatable, Sendable {
    /// What was written last.
    package var control: UInt8
  }

  package static let base: UInt16 = 0xCF9
  /// Resets the processors when it becomes set.
  private static let resetProcessor: UInt8 = 1 << 2
  /// That, whether the reset is a hard one, and whether it is a full one; here all are the same.
  private static let kept: UInt8 = 0x0E

  package let name: String
  package let portCount = 1
  private let request: @Sendable (PowerRequest) -> Void
  private let guarded = Mutex(State(control: 0))

  /// `request` is called on the thread of the CPU that wrote, which it must not wait for.
  package init(name: String = "reset-control", request: @escaping @Sendable (PowerRequest) -> Void) {
    self.name = name
    self.request = request
  }

  package func reset() { guarded.withLock { $0.control = 0 } }

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    return guarded.withLock { UInt32($0.control) }
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    let control = UInt8(truncatingIfNeeded: value) & Self.kept
    let resets = guarded.withLock { state in
      let changes = control & ~state.control
      state.control = control
      return changes & Self.resetProcessor != 0
    }
    if resets { request(.reset) }
  }
}

// MARK: - State

extension ResetControlPort: StatefulDevice {
  package static let stateKind = "reset-control"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0 } }
    set { guarded.withLock { $0 = State(control: newValue.control & Self.kept) } }
  }
}
