/// A device that a board with a device tree describes to its guest. Devices whose nodes refer to others
/// have a `describe` of their own, with those others' phandles.
package protocol DeviceTreeDescribed: Device {
  /// Adds the device's node to that of its bus, which counts two cells for an address and two for a size
  /// and names the interrupt controller as `interrupt-parent`. `base` is where the registers are.
  func describe(in bus: inout DeviceTree.Node, at base: UInt64)
}
