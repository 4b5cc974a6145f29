/// Features of a console (virtio 1.3 §5.3.3).
extension VirtioFeatures {
  /// The console's size is stated (`VIRTIO_CONSOLE_F_SIZE`).
  package static let consoleSize = VirtioFeatures(bit: 0)
  /// There are several ports, and control queues (`VIRTIO_CONSOLE_F_MULTIPORT`).
  package static let consoleMultiport = VirtioFeatures(bit: 1)
  /// A character can be written without a queue (`VIRTIO_CONSOLE_F_EMERG_WRITE`).
  package static let consoleEmergencyWrite = VirtioFeatures(bit: 2)
}
