internal import Synchronization

/// The port of the power-on self-test's codes. It remembers the last; kernels write there to let time pass.
package final class POSTCodePort: PortDevice {
  package struct State: Codable, Equatable, Sendable {
    package var code: UInt8
  }

  package static let base: UInt16 = 0x80

  package let name: String
  package let portCount = 1
  private let code = Atomic<UInt8>(0)

  package init(name: String = "post-code") { self.name = name }

  package func reset() { code.store(0, ordering: .relaxed) }

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    return UInt32(code.load(ordering: .relaxed))
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    code.store(UInt8(truncatingIfNeeded: value), ordering: .relaxed)
  }
}

// MARK: - State

extension POSTCodePort: StatefulDevice {
  package static let stateKind = "post-code"
  package static let stateVersion = 1

  package var state: State {
    get { State(code: code.load(ordering: .relaxed)) }
    set { code.store(newValue.code, ordering: .relaxed) }
  }
}
