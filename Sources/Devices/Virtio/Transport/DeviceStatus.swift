/// How far a driver has come with a device (virtio 1.3 §2.1).
package struct DeviceStatus: OptionSet, Codable, Hashable, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let acknowledge = DeviceStatus(rawValue: 1)
  package static let driver = DeviceStatus(rawValue: 2)
  package static let driverOK = DeviceStatus(rawValue: 4)
  package static let featuresOK = DeviceStatus(rawValue: 8)
  /// Set by the device: it met an error that only a reset mends.
  package static let needsReset = DeviceStatus(rawValue: 64)
  package static let failed = DeviceStatus(rawValue: 128)

  /// What a driver may set.
  static let driversOwn: DeviceStatus = [.acknowledge, .driver, .driverOK, .featuresOK, .failed]

  /// Whether the bits were set in the order of §3.1.1: each only beside those that go before it.
  var isInOrder: Bool {
    if contains(.driver), !contains(.acknowledge) { return false }
    if contains(.featuresOK), !contains(.driver) { return false }
    if contains(.driverOK), !contains(.featuresOK) { return false }
    return true
  }
}
