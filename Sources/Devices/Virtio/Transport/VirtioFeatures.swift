/// Feature bits, offered by a device or accepted by its driver (virtio 1.3 §2.2). The bits of one
/// kind of device are named beside that device.
package struct VirtioFeatures: OptionSet, Hashable, Sendable {
  package let rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  init(bit: Int) { rawValue = 1 << UInt64(bit) }

  // MARK: - Of every device (§6)

  /// A descriptor may refer to a table of descriptors (`VIRTIO_F_INDIRECT_DESC`).
  package static let indirectDescriptors = VirtioFeatures(bit: 28)
  /// Notifications are asked for by index (`VIRTIO_F_EVENT_IDX`).
  package static let eventIndex = VirtioFeatures(bit: 29)
  /// The driver speaks this specification, not the legacy one (`VIRTIO_F_VERSION_1`).
  package static let version1 = VirtioFeatures(bit: 32)

  /// What the split queues here can do for any device.
  package static let ofQueues: VirtioFeatures = [.indirectDescriptors, .eventIndex, .version1]
}
