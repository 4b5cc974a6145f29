/// Features of a memory balloon (virtio 1.3 §5.5.3).
extension VirtioFeatures {
  /// The driver tells how the guest fares (`VIRTIO_BALLOON_F_STATS_VQ`).
  package static let balloonStatistics = VirtioFeatures(bit: 1)
  /// A guest short of memory may take pages back (`VIRTIO_BALLOON_F_DEFLATE_ON_OOM`).
  package static let balloonDeflateOnOOM = VirtioFeatures(bit: 2)
  /// The driver names pages it does not use (`VIRTIO_BALLOON_F_PAGE_REPORTING`).
  package static let balloonPageReporting = VirtioFeatures(bit: 5)
}
