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
  /// The driver takes large segments, to cut them up itself or not at all (`VIRTIO_NET_F_GUEST_TSO4`, `_TSO6`, `_ECN`).
  package static let networkGuestTCP4 = VirtioFeatures(bit: 7)
  package static let networkGuestTCP6 = VirtioFeatures(bit: 8)
  package static let networkGuestCongestion = VirtioFeatures(bit: 9)
  /// The device takes large segments (`VIRTIO_NET_F_HOST_TSO4`, `_TSO6`, `_ECN`).
  package static let networkHostTCP4 = VirtioFeatures(bit: 11)
  package static let networkHostTCP6 = VirtioFeatures(bit: 12)
  package static let networkHostCongestion = VirtioFeatures(bit: 13)
  /// The same of UDP (`VIRTIO_NET_F_GUEST_USO4`, `_USO6`, `VIRTIO_NET_F_HOST_USO`).
  package static let networkGuestUDP4 = VirtioFeatures(bit: 54)
  package static let networkGuestUDP6 = VirtioFeatures(bit: 55)
  package static let networkHostUDP = VirtioFeatures(bit: 56)
  /// A frame may be spread over several received buffers (`VIRTIO_NET_F_MRG_RXBUF`).
  package static let networkMergedBuffers = VirtioFeatures(bit: 15)
  /// The link's state is stated (`VIRTIO_NET_F_STATUS`).
  package static let networkStatus = VirtioFeatures(bit: 16)
  /// `VIRTIO_NET_F_CTRL_VQ`
  package static let networkControl = VirtioFeatures(bit: 17)
  /// The control queue takes receive filters (`VIRTIO_NET_F_CTRL_RX`).
  package static let networkControlReceive = VirtioFeatures(bit: 18)
}
