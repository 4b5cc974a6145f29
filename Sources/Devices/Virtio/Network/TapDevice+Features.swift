internal import HostSystem

/// What a TAP device can do, in the words of virtio.
extension TapDevice.Offloads {
  /// Each with what the driver takes of us.
  private static let guests: [(TapDevice.Offloads, VirtioFeatures)] = [
    (.checksum, .networkGuestChecksum), (.tcp4, .networkGuestTCP4), (.tcp6, .networkGuestTCP6),
    (.congestion, .networkGuestCongestion), (.udp4, .networkGuestUDP4), (.udp6, .networkGuestUDP6),
  ]
  /// Each with what we take of the driver: the kernel undoes what it does.
  private static let hosts: [(TapDevice.Offloads, VirtioFeatures)] = [
    (.checksum, .networkChecksum), (.tcp4, .networkHostTCP4), (.tcp6, .networkHostTCP6),
    (.congestion, .networkHostCongestion), (.udp4, .networkHostUDP),
  ]

  /// What a device on such a TAP device offers.
  var features: VirtioFeatures {
    (Self.guests + Self.hosts).reduce(into: []) { if contains($1.0) { $0.formUnion($1.1) } }
  }

  /// What may be left undone for a driver that takes `features`.
  init(for features: VirtioFeatures) {
    self = []
    // Whatever is large has no checksum yet.
    guard features.contains(.networkGuestChecksum) else { return }
    for (offload, feature) in Self.guests where features.contains(feature) { insert(offload) }
  }
}
