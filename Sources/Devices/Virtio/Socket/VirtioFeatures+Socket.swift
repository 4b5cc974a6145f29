/// Features of a socket device (virtio 1.3 §5.10.3).
extension VirtioFeatures {
  /// There are stream sockets (`VIRTIO_VSOCK_F_STREAM`).
  package static let socketStream = VirtioFeatures(bit: 0)
}
