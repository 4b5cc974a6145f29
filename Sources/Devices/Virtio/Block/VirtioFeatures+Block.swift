/// Features of a block device (virtio 1.3 §5.2.3).
extension VirtioFeatures {
  /// The most buffers of a request are stated (`VIRTIO_BLK_F_SEG_MAX`).
  package static let blockSegmentMaximum = VirtioFeatures(bit: 2)
  /// The device cannot be written (`VIRTIO_BLK_F_RO`).
  package static let blockReadOnly = VirtioFeatures(bit: 5)
  /// The block size is stated (`VIRTIO_BLK_F_BLK_SIZE`).
  package static let blockSize = VirtioFeatures(bit: 6)
  /// `VIRTIO_BLK_F_FLUSH`
  package static let blockFlush = VirtioFeatures(bit: 9)
  /// Best sizes and alignments are stated (`VIRTIO_BLK_F_TOPOLOGY`).
  package static let blockTopology = VirtioFeatures(bit: 10)
  /// The driver may choose between write-back and write-through (`VIRTIO_BLK_F_CONFIG_WCE`).
  package static let blockCacheMode = VirtioFeatures(bit: 11)
  /// `VIRTIO_BLK_F_DISCARD`
  package static let blockDiscard = VirtioFeatures(bit: 13)
  /// `VIRTIO_BLK_F_WRITE_ZEROES`
  package static let blockWriteZeroes = VirtioFeatures(bit: 14)
}
