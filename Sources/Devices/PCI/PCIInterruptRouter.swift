internal import Synchronization

/// The four interrupt wires of a PCI bus, INTA to INTD of its device 0. The pins of other devices are
/// swizzled over them, and each wire is high while any pin on it is (PCI 3.0 §2.2.6).
package final class PCIInterruptRouter: InterruptSink {
  private struct State {
    /// Which pins are high: a bit for each pin of each function of a device, a word for each device.
    var pins = [UInt32](repeating: 0, count: 32)
    /// How many pins hold up each wire.
    var counts = [0, 0, 0, 0]
  }

  /// Where the wires lead.
  package let lines: [InterruptLine]
  private let state = Mutex(State())

  package init(lines: [InterruptLine]) {
    precondition(lines.count == 4, "a PCI bus has four interrupt wires")
    self.lines = lines
  }

  /// The wire, 0 to 3, on which a pin of a device ends. Pins count from 0 for INTA.
  package static func wire(device: Int, pin: Int) -> Int { (device + pin) % 4 }

  /// What a function's INTA is connected to.
  package func interruptLine(of address: PCIAddress) -> InterruptLine {
    InterruptLine(sink: self, input: 4 * address.index)
  }

  /// An input is a pin of a function: four times its number on the bus, and the pin's number.
  package func setInput(_ input: Int, level: Bool) {
    let (function, pin) = (input / 4, input % 4)
    let device = function / 8
    precondition((0..<32).contains(device), "no such function")
    let bit = 1 << UInt32(4 * (function % 8) + pin) as UInt32
    let wire = Self.wire(device: device, pin: pin)
    state.withLock { state in
      guard (state.pins[device] & bit != 0) != level else { return }
      state.pins[device] ^= bit
      state.counts[wire] += level ? 1 : -1
      // Only the first and the last pin change the wire; under the lock, so that levels stay in order.
      if state.counts[wire] == (level ? 1 : 0) { lines[wire].setLevel(level) }
    }
  }
}
