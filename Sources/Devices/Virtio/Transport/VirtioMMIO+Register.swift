extension VirtioMMIO {
  /// Byte offsets of the registers (virtio 1.3 §4.2.2).
  package enum Register {
    package static let magicValue: UInt64 = 0x000
    package static let version: UInt64 = 0x004
    package static let deviceID: UInt64 = 0x008
    package static let vendorID: UInt64 = 0x00C
    package static let deviceFeatures: UInt64 = 0x010
    package static let deviceFeaturesSelect: UInt64 = 0x014
    package static let driverFeatures: UInt64 = 0x020
    package static let driverFeaturesSelect: UInt64 = 0x024
    package static let queueSelect: UInt64 = 0x030
    package static let queueSizeMax: UInt64 = 0x034
    package static let queueSize: UInt64 = 0x038
    package static let queueReady: UInt64 = 0x044
    package static let queueNotify: UInt64 = 0x050
    package static let interruptStatus: UInt64 = 0x060
    package static let interruptACK: UInt64 = 0x064
    package static let status: UInt64 = 0x070
    package static let queueDescriptorLow: UInt64 = 0x080
    package static let queueDescriptorHigh: UInt64 = 0x084
    package static let queueDriverLow: UInt64 = 0x090
    package static let queueDriverHigh: UInt64 = 0x094
    package static let queueDeviceLow: UInt64 = 0x0A0
    package static let queueDeviceHigh: UInt64 = 0x0A4
    package static let sharedMemorySelect: UInt64 = 0x0AC
    package static let sharedMemoryLengthLow: UInt64 = 0x0B0
    package static let sharedMemoryLengthHigh: UInt64 = 0x0B4
    package static let sharedMemoryBaseLow: UInt64 = 0x0B8
    package static let sharedMemoryBaseHigh: UInt64 = 0x0BC
    package static let queueReset: UInt64 = 0x0C0
    package static let configurationGeneration: UInt64 = 0x0FC
    /// The device's own configuration space begins here.
    package static let configuration: UInt64 = 0x100

    /// Registers that exist but cannot be read.
    static let writable: Set<UInt64> = [
      deviceFeaturesSelect, driverFeatures, driverFeaturesSelect, queueSelect, queueSize, queueNotify,
      interruptACK, queueDescriptorLow, queueDescriptorHigh, queueDriverLow, queueDriverHigh,
      queueDeviceLow, queueDeviceHigh, sharedMemorySelect,
    ]

    /// Registers that exist but cannot be written; `queueReset` because its feature is not offered.
    static let readable: Set<UInt64> = [
      magicValue, version, deviceID, vendorID, deviceFeatures, queueSizeMax, interruptStatus,
      sharedMemoryLengthLow, sharedMemoryLengthHigh, sharedMemoryBaseLow, sharedMemoryBaseHigh,
      queueReset, configurationGeneration,
    ]
  }
}
