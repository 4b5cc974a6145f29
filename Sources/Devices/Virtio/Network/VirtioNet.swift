package import HostSystem

/// A network card (virtio 1.3 §5.1) of one pair of queues, on a descriptor of the host that carries
/// one Ethernet frame a read and one a write: a TAP device, or a Unix socket of datagrams.
package final class VirtioNet: WorkerDevice {
  /// Byte offsets into the configuration space (§5.1.4).
  private enum Field {
    static let mac = 0
    static let status = 6
    static let queuePairs = 8
    static let mtu = 10
    static let size = 12
  }

  private static let linkUp: UInt16 = 1

  package let name: String
  package let deviceID = VirtioDeviceID.network
  package let features: VirtioFeatures
  /// To the driver, from the driver, control.
  package let queueMaximums: [UInt16] = [256, 256, 64]
  package let configuration = ConfigurationSpace(size: Field.size)

  let worker: VirtioWorker
  let channel: HostChannel

  /// `port` becomes nonblocking. `mac` is 6 bytes. `mtu`, if given, is told to the guest: 68 to 65,520.
  package init(
    name: String = "virtio-net", port: Descriptor, mac: [UInt8], mtu: UInt16? = nil
  ) throws(Errno) {
    precondition(mac.count == 6)
    self.name = name
    channel = try HostChannel(port)
    worker = try VirtioWorker(name: name)
    var features: VirtioFeatures = [
      .networkMAC, .networkStatus, .networkMergedBuffers, .networkControl, .networkControlReceive,
      .networkChecksum, .networkGuestChecksum,
    ]
    for (index, byte) in mac.enumerated() { configuration.store(byte, at: Field.mac + index) }
    configuration.store(Self.linkUp, at: Field.status)
    configuration.store(UInt16(1), at: Field.queuePairs)
    if let mtu {
      features.insert(.networkMTU)
      configuration.store(mtu, at: Field.mtu)
    }
    self.features = features
  }

  /// Whether the guest is told that a cable is plugged in.
  package var isLinkUp: Bool {
    get { configuration.load(UInt16.self, at: Field.status) & Self.linkUp != 0 }
    set {
      guard newValue != isLinkUp else { return }
      configuration.store(newValue ? Self.linkUp : 0, at: Field.status)
      worker.raiseConfigurationChange()
    }
  }

  func makeSession(_ context: SessionContext) -> any VirtioSession {
    NetworkSession(device: self, context: context)
  }
}
