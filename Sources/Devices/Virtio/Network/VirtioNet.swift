package import HostSystem

/// A network card (virtio 1.3 §5.1) of one pair of queues, on a descriptor of the host that carries
/// one Ethernet frame a read and one a write: a Unix socket of packets, or a TAP device, whose frames come and go with
/// the headers that they have in the queues.
///
/// On a TAP device the queues may be the kernel's to work on (``KernelNetwork``); then this process only sets it up.
package final class VirtioNet: WorkerDevice {
  /// Byte offsets into the configuration space (§5.1.4).
  private enum Field {
    static let mac = 0
    static let status = 6
    static let queuePairs = 8
    static let mtu = 10
    static let size = 12
  }

  enum QueueIndex {
    static let receive = 0
    static let transmit = 1
    static let control = 2
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
  /// What ``channel`` leads to, if frames have headers there.
  let tap: TapDevice?
  /// Who moves frames in our place.
  let kernel: KernelNetwork?
  let counters = NetworkCounters()

  /// `port` becomes nonblocking. `mac` is 6 bytes. `mtu`, if given, is told to the guest: 68 to 65,520.
  package convenience init(
    name: String = "virtio-net", port: Descriptor, mac: [UInt8], mtu: UInt16? = nil
  ) throws(Errno) {
    try self.init(
      name: name, port, nil, nil, [.networkChecksum, .networkGuestChecksum], mac: mac, mtu: mtu)
  }

  /// On a TAP device, with its checksums and segments as far as the kernel and the driver have them. `kernel` works on
  /// the queues; nil has this process do it.
  package convenience init(
    name: String = "virtio-net", tap: TapDevice, kernel: KernelNetwork? = nil, mac: [UInt8],
    mtu: UInt16? = nil
  ) throws(Errno) {
    try self.init(name: name, tap.descriptor, tap, kernel, tap.offloads.features, mac: mac, mtu: mtu)
  }

  private init(
    name: String, _ port: Descriptor, _ tap: TapDevice?, _ kernel: KernelNetwork?, _ offloads: VirtioFeatures,
    mac: [UInt8], mtu: UInt16?
  ) throws(Errno) {
    precondition(mac.count == 6)
    self.name = name
    self.tap = tap
    self.kernel = kernel
    channel = try HostChannel(port)
    worker = try VirtioWorker(name: name)
    var features: VirtioFeatures = [
      .networkMAC, .networkStatus, .networkMergedBuffers, .networkControl, .networkControlReceive,
    ]
    features.formUnion(offloads)
    for (index, byte) in mac.enumerated() { configuration.store(byte, at: Field.mac + index) }
    configuration.store(Self.linkUp, at: Field.status)
    configuration.store(UInt16(1), at: Field.queuePairs)
    if let mtu {
      features.insert(.networkMTU)
      configuration.store(mtu, at: Field.mtu)
    }
    self.features = features
  }

  /// What has passed through it, over all resets; nil where the kernel moves frames, which tells nobody.
  package var activity: NetworkActivity? { kernel == nil ? counters.activity : nil }

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
    tap?.leave(TapDevice.Offloads(for: context.features))
    if let kernel { return KernelNetworkSession(kernel, context: context) }
    return NetworkSession(device: self, context: context)
  }

  // MARK: - Queues of the kernel's

  package func notify(queue: Int) {
    if let kick = kernel?.kick(queue: queue) { kick.signal() } else { worker.notify(queue: queue) }
  }

  package func doorbell(queue: Int) throws(Errno) -> EventCounter? {
    if let kick = kernel?.kick(queue: queue) { return kick }
    return try worker.doorbell(queue: queue)
  }

  package func usedBufferCounter(queue: Int) -> EventCounter? { kernel?.call(queue: queue) }
}
