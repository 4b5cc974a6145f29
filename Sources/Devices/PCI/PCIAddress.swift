/// Where a function sits on its bus.
package struct PCIAddress: Hashable, Sendable, CustomStringConvertible {
  /// 0 to 31.
  package let device: Int
  /// 0 to 7.
  package let function: Int

  package init(device: Int, function: Int = 0) {
    precondition((0..<32).contains(device) && (0..<8).contains(function), "no such place on a PCI bus")
    self.device = device
    self.function = function
  }

  /// The function's number on the bus, 0 to 255.
  package var index: Int { device << 3 | function }

  /// As lspci(8) writes it, such as `01.0`.
  package var description: String { "\(device < 16 ? "0" : "")\(String(device, radix: 16)).\(function)" }
}
