extension VirtioPCITransport {
  /// Where each structure begins in the one range of addresses, a page each.
  enum Region {
    static let common: UInt64 = 0x0000
    static let interruptStatus: UInt64 = 0x1000
    static let device: UInt64 = 0x2000
    static let notify: UInt64 = 0x3000
    static let messageTable: UInt64 = 0x4000
    static let messagePending: UInt64 = 0x5000
    static let pageSize: UInt64 = 0x1000
    static let size: UInt64 = 0x8000
  }

  /// The kinds of structures in vendor-specific capabilities (`cfg_type`, virtio 1.3 §4.1.4).
  enum Structure {
    static let common: UInt8 = 1
    static let notify: UInt8 = 2
    static let interruptStatus: UInt8 = 3
    static let device: UInt8 = 4
    static let configurationAccess: UInt8 = 5
  }

  /// Byte offsets into a vendor-specific capability (`struct virtio_pci_cap`).
  enum Capability {
    static let length = 2
    static let structure = 3
    static let range = 4
    static let offset = 8
    static let size = 12
    static let byteCount = 16
    /// Of the notification capability: bytes from a queue's address to the next one's.
    static let notifyMultiplier = 16
    /// Of the configuration access capability: the bytes that go in and out.
    static let data = 16
    /// The two that have a field more.
    static let longByteCount = 20
  }

  /// Byte offsets into the common configuration (virtio 1.3 §4.1.4.3).
  package enum Register {
    package static let deviceFeatureSelect: UInt64 = 0x00
    package static let deviceFeature: UInt64 = 0x04
    package static let driverFeatureSelect: UInt64 = 0x08
    package static let driverFeature: UInt64 = 0x0C
    package static let configurationVector: UInt64 = 0x10
    package static let queueCount: UInt64 = 0x12
    package static let deviceStatus: UInt64 = 0x14
    package static let configurationGeneration: UInt64 = 0x15
    package static let queueSelect: UInt64 = 0x16
    package static let queueSize: UInt64 = 0x18
    package static let queueVector: UInt64 = 0x1A
    package static let queueEnable: UInt64 = 0x1C
    package static let queueNotifyOffset: UInt64 = 0x1E
    package static let queueDescriptorLow: UInt64 = 0x20
    package static let queueDescriptorHigh: UInt64 = 0x24
    package static let queueDriverLow: UInt64 = 0x28
    package static let queueDriverHigh: UInt64 = 0x2C
    package static let queueDeviceLow: UInt64 = 0x30
    package static let queueDeviceHigh: UInt64 = 0x34
    package static let queueNotifyData: UInt64 = 0x38
    package static let queueReset: UInt64 = 0x3A
    /// Bytes of the structure.
    static let byteCount: UInt64 = 0x3C

    /// Bytes of the register at an offset; nil where none begins.
    static func width(at offset: UInt64) -> Int? {
      switch offset {
      case deviceStatus, configurationGeneration: 1
      case configurationVector, queueCount, queueSelect, queueSize, queueVector, queueEnable,
        queueNotifyOffset, queueNotifyData, queueReset:
        2
      case deviceFeatureSelect, deviceFeature, driverFeatureSelect, driverFeature, queueDescriptorLow,
        queueDescriptorHigh, queueDriverLow, queueDriverHigh, queueDeviceLow, queueDeviceHigh:
        4
      default: nil
      }
    }
  }
}
