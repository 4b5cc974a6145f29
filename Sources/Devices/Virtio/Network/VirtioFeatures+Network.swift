/// Features of a network device (virtio 1.3 §5.1.3).
extension VirtioFeatures {
  /// The device completes checksums that the driver left partial (`VIRTIO_NET_F_CSUM`).
  package static let networkChecksum = VirtioFeatures(bit: 0)
  /// The driver takes the device's word for checksums (`VIRTIO_NET_F_GUEST_CSUM`).
  package static let networkGuestChecksum = VirtioFeatures(bit: 1)
  /// The largest payload of a frame is stated (`VIRTIO_NET_F_MTU`).
  package static let networkMTU = VirtioFeatures(bit: 3)
  /// The device has an address (`VIRTIO_NET_F_MAC`).
  package static let networkMAC = VirtioFeatures(bit: 5)
  /// A frame may be spread over several received buffers (`VIRTIO_NET_F_MRG_RXBUF`).
  package static let networkMergedBuffers = VirtioFeatures(bit: 15)
  /// The link's state is stated (`VIRTIO_NET_F_STATUS`).
  package static let networkStatus = VirtioFeatures(bit: 16)
  /// `VIRTIO_NET_F_CTRL_VQ`
  package static let networkControl = VirtioFeatures(bit: 17)
  /// The control queue takes receive filters (`VIRTIO_NET_F_CTRL_RX`).
  package static let networkControlReceive = VirtioFeatures(bit: 18)
}
