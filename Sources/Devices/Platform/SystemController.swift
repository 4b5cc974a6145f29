/// What a guest asks of its machine's power supply.
package enum PowerRequest: Equatable, Sendable {
  /// Off. A code means that the guest calls this a failure.
  case powerOff(code: UInt16?)
  case reset
}

/// The board's switch: one register by which the guest turns its machine off or resets it (SiFive's test
/// finisher, which system software drives as a syscon). It keeps no state.
package final class SystemController: MMIODevice {
  /// What the low half of a written word asks for; the high half is the code of a failure.
  private enum Finisher {
    static let fail: UInt16 = 0x3333
    static let pass: UInt16 = 0x5555
    static let reset: UInt16 = 0x7777
  }

  package let name: String
  package let registerSpace: UInt64 = 0x1000
  private let request: @Sendable (PowerRequest) -> Void

  /// `request` is called on the thread of the CPU that wrote, which it must not wait for.
  package init(name: String = "test", request: @escaping @Sendable (PowerRequest) -> Void) {
    self.name = name
    self.request = request
  }

  package func reset() {}

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    guard offset == 0 else { throw .noRegister }
    guard width == 4 else { throw .badWidth }
    return 0
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    guard offset == 0 else { throw .noRegister }
    guard width == 4 else { throw .badWidth }
    switch UInt16(truncatingIfNeeded: value) {
    case Finisher.fail: request(.powerOff(code: UInt16(truncatingIfNeeded: value >> 16)))
    case Finisher.pass: request(.powerOff(code: nil))
    case Finisher.reset: request(.reset)
    default: break
    }
  }

  /// Adds the device's node, which takes `phandle`, to its bus, and to the root the two nodes that tell
  /// Linux how to use it.
  package func describe(
    in root: inout DeviceTree.Node, bus: String, at base: UInt64, phandle: DeviceTree.PHandle
  ) {
    root.node(bus) {
      $0.node(name, at: base) {
        $0.property("compatible", .strings(["sifive,test1", "sifive,test0", "syscon"]))
        $0.property("reg", .u64([base, registerSpace]))
        $0.phandle(phandle)
      }
    }
    for (node, value) in [("poweroff", Finisher.pass), ("reboot", Finisher.reset)] {
      root.node(node) {
        $0.property("compatible", .string("syscon-\(node)"))
        $0.property("regmap", .phandle(phandle))
        $0.property("offset", .cells([0]))
        $0.property("value", .cells([UInt32(value)]))
      }
    }
  }
}
