/// By which a guest's kernel says that it has crashed (pvpanic, as QEMU's docs/specs/pvpanic describes it): one
/// port. It keeps no state.
package final class PanicDevice: PortDevice {
  /// What the guest reports, and what it may report.
  package struct Events: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The kernel has crashed, and stops.
    package static let panicked = Events(rawValue: 1 << 0)
    /// The kernel has crashed, and a kernel for that case takes over.
    package static let crashLoaded = Events(rawValue: 1 << 1)
    /// The guest shuts down of its own will.
    package static let shutdown = Events(rawValue: 1 << 2)
    static let all: Events = [.panicked, .crashLoaded, .shutdown]
  }

  /// Where drivers expect it on a PC.
  package static let base: UInt16 = 0x505

  package let name: String
  package let portCount = 1
  private let report: @Sendable (Events) -> Void

  /// `report` is called on the thread of the CPU that wrote, which it must not wait for, as often as the guest
  /// writes.
  package init(name: String = "panic", report: @escaping @Sendable (Events) -> Void) {
    self.name = name
    self.report = report
  }

  package func reset() {}

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    return UInt32(Events.all.rawValue)
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    let events = Events(rawValue: UInt8(truncatingIfNeeded: value)).intersection(.all)
    if !events.isEmpty { report(events) }
  }
}

extension PanicDevice: ACPIDescribed {
  package func describe(in systemBus: inout AML.Block, at base: UInt64) {
    systemBus.device("PEVT") {
      $0.name("_HID", "QEMU0001")
      $0.name("_CRS", .resources([.ports(UInt16(truncatingIfNeeded: base), count: UInt8(portCount))]))
      // Shown to nobody: no driver is to be asked of a person.
      $0.name("_STA", 0x0B)
    }
  }
}
