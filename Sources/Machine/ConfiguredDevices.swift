internal import Devices
internal import DiskImages
internal import Glibc
internal import GuestMemory
internal import HostSystem
internal import MachineControl

/// The virtio devices that a configuration asks for: the same on every board.
struct ConfiguredDevices {
  /// In the order in which guests find them.
  private(set) var all: [any VirtioDevice] = []
  private(set) var console: VirtioConsole?
  let balloon: VirtioBalloon
  private(set) var sockets: VirtioSocket?
  private var disks: [VirtioBlock] = []
  private let storages: [DiskStorage]
  private let send: @Sendable (ControlEvent) -> Void
  private var network: VirtioNet?
  /// Where a process of this machine's plays the network.
  private var frames: UnixSocket?
  /// The kernel's worker for the network, if it has one; it writes guest memory by itself.
  private(set) var kernelNetwork: KernelNetwork?

  /// `storages` are the configuration's disks, opened. `send` tells the machine's owner, `link` the machine, which
  /// stands still while a disk waits for room.
  init(
    _ configuration: MachineConfiguration, _ descriptors: [Descriptor], storages: [DiskStorage],
    memory: GuestMemory, link: VirtualMachine.PowerLink, send: @escaping @Sendable (ControlEvent) -> Void
  ) throws(Errno) {
    self.storages = storages
    self.send = send
    for (disk, storage) in zip(configuration.disks, storages) {
      let failures = FailureLimiter()
      let tell: @Sendable (VirtioBlock.Failure) -> Void = {
        guard failures.passes($0.errno) else { return }
        send(
          .diskFailed(
            disk: disk.serial, operation: $0.operation.rawValue, errorNumber: $0.errno.code))
      }
      let wait: @Sendable (Bool) -> Void = {
        link.disk(disk.serial, waitsForRoom: $0)
        send(.diskFull(disk: disk.serial, isFull: $0))
      }
      disks.append(
        try VirtioBlock(
          name: "disk \(disk.serial)", storage: storage, serial: disk.serial,
          writesThrough: disk.cache == .writethrough, pace: Self.pace,
          onWant: disk.waitsForRoom ? wait : nil, onFailure: tell))
    }
    all += disks
    if let network = configuration.network {
      let port = descriptors[network.frames]
      if network.isTAP {
        let tap = TapDevice(port)
        kernelNetwork = network.vhost.flatMap { Self.kernelNetwork(descriptors[$0], tap, memory, send) }
        self.network = try VirtioNet(tap: tap, kernel: kernelNetwork, mac: network.mac)
      } else {
        self.network = try VirtioNet(port: port, mac: network.mac)
        frames = UnixSocket(port)
      }
    }
    if let network { all.append(network) }
    if !configuration.consolePorts.isEmpty {
      let console = try VirtioConsole(
        ports: configuration.consolePorts.map {
          VirtioConsole.Port(name: $0.name, socket: descriptors[$0.stream])
        })
      self.console = console
      all.append(console)
    }
    all.append(try VirtioEntropy())
    balloon = try VirtioBalloon(memory: memory)
    all.append(balloon)
    if let sockets = configuration.sockets {
      let device = try VirtioSocket(
        guestCID: sockets.guestCID, broker: UnixSocket(descriptors[sockets.broker]))
      self.sockets = device
      all.append(device)
    }
  }

  /// Whether a disk has a request that waits for room on the host: taken from its queue, and not answered.
  var waitForRoom: Bool { disks.contains(where: \.waitsForRoom) }

  /// False when there is no such disk.
  func limitDisk(_ serial: String, _ rates: DiskRates) -> Bool {
    guard let disk = disks.first(where: { $0.serial == serial }) else { return false }
    disk.rates = BlockRates(
      readBytes: rates.readBytes, writtenBytes: rates.writtenBytes, reads: rates.reads, writes: rates.writes)
    return true
  }

  /// Gives a disk on a server another connection; false when there is no such disk.
  func attach(_ connection: UnixSocket, toDisk serial: String) -> Bool {
    guard let server = storage(serial)?.server else { return false }
    server.attach(connection.descriptor)
    return true
  }

  /// Serial numbers of disks that are without their servers.
  var lostDisks: [String] { storages.filter { $0.server?.isLost == true }.map(\.serial) }

  /// Makes a disk larger, which it may be already, and tells the guest.
  func resizeDisk(_ serial: String, to size: UInt64) throws(ControlFailure) {
    let phase = "resizing disk \(serial)"
    guard let disk = disks.first(where: { $0.serial == serial }),
      let storage = storage(serial)
    else { throw ControlFailure(.wrongState, phase: phase, message: "there is no such disk") }
    guard size % UInt64(sectorSize) == 0, size >= storage.size else {
      throw ControlFailure(
        .invalidConfiguration, phase: phase,
        message: "it has \(storage.size) bytes, and cannot have \(size) while the machine runs")
    }
    guard try ControlFailure.host(phase, { () throws(Errno) in try storage.grow(to: size) }) else {
      throw ControlFailure(.unsupported, phase: phase, message: "it cannot grow while it is used")
    }
    disk.storageResized()
  }

  // MARK: - Disks that go on elsewhere

  /// Has disks go on in other files, while they rest. What they were is flushed; when one cannot be opened, all go on
  /// as they were.
  func replace(
    _ replacements: [MachineConfiguration.Disk], _ descriptors: [Descriptor]
  ) throws(ControlFailure) {
    for storage in storages {
      try ControlFailure.host("flushing disk \(storage.serial)") { () throws(Errno) in
        // What becomes a layer is read from one side or the other.
        try storage.mirror?.settle()
        try storage.flush()
      }
    }
    var opened: [Replacement] = []
    do throws(ControlFailure) {
      for disk in replacements {
        let storage = try storage(of: disk, phase: "freezing disk \(disk.serial)")
        guard storage.server == nil, disk.server == nil else {
          throw ControlFailure(
            .unsupported, phase: "freezing disk \(disk.serial)",
            message: "it is on a server, and goes on in no other file")
        }
        // Its file becomes a layer, which others may read.
        try ControlFailure.host("unlocking disk \(disk.serial)") { () throws(Errno) in
          try storage.unlock()
        }
        opened.append(try open(disk, for: storage, descriptors))
      }
    } catch {
      opened = []
      for storage in storages { storage.lockAgain() }
      throw error
    }
    _ = replace(opened)
  }

  private func storage(_ serial: String) -> DiskStorage? { storages.first { $0.serial == serial } }

  /// A disk, and what it is to be.
  typealias Replacement = (storage: DiskStorage, image: DiskStorage.Opened)

  private func storage(
    of disk: MachineConfiguration.Disk, phase: String
  ) throws(ControlFailure) -> DiskStorage {
    guard let storage = storage(disk.serial) else {
      throw ControlFailure(.invalidConfiguration, phase: phase, message: "there is no disk \(disk.serial)")
    }
    guard disk.size == storage.size else {
      throw ControlFailure(
        .invalidConfiguration, phase: phase,
        message: "it has \(storage.size) bytes, and \(disk.size) were asked for")
    }
    return storage
  }

  private func open(
    _ disk: MachineConfiguration.Disk, for storage: DiskStorage, _ descriptors: [Descriptor]
  ) throws(ControlFailure) -> Replacement {
    var disk = disk
    disk.cache = storage.cache
    // A side that lacks something beneath has no part in what stands on it.
    let places = storage.mirror?.currentPlaces ?? [0, 1]
    let image = try DiskStorage.open(disk, descriptors, places: places) { [send] in
      send(.mirrorChanged($0))
    }
    return (storage, image)
  }

  /// Opens what disks are to be, while they go on as they are.
  func open(
    _ replacements: [MachineConfiguration.Disk], _ descriptors: [Descriptor], phase: String
  ) throws(ControlFailure) -> [Replacement] {
    var opened: [Replacement] = []
    for disk in replacements {
      opened.append(try open(disk, for: try storage(of: disk, phase: phase), descriptors))
    }
    return opened
  }

  /// Has disks be what was opened, while they rest. Returns what they were, the last of which may be written when it is
  /// let go of.
  func replace(_ opened: [Replacement]) -> [DiskStorage.Opened] {
    opened.map { storage, image in storage.replace(by: image) }
  }

  /// Has the process that plays the network end the guest's connections, of which the guest will know nothing.
  func forgetConnections() {
    guard let frames, (try? frames.waitUntilWritable(milliseconds: 200)) == true else { return }
    _ = try? frames.send(NetworkOrder.forget)
  }

  /// Gives a mirrored disk the side that it lacks.
  func attach(
    _ side: MachineConfiguration.Disk.Side, to serial: String, _ descriptors: [Descriptor]
  ) throws(ControlFailure) {
    guard let storage = storage(serial), let mirror = storage.mirror else {
      throw ControlFailure(
        .wrongState, phase: "attaching a side", message: "there is no mirrored disk \(serial)")
    }
    try mirror.attach(side, descriptors)
  }

  /// Says in mirrors' metadata that their sides are the same; the machine has ended.
  func closeMirrors() { for storage in storages { storage.mirror?.close() } }

  var mirrors: [MirrorStatus] { storages.compactMap { $0.mirror?.status } }

  // MARK: - What they have done

  var diskActivity: [MachineStatus.DiskActivity] {
    disks.map { disk in
      let activity = disk.activity
      return .init(
        serial: disk.serial, reads: activity.reads, writes: activity.writes, bytesRead: activity.bytesRead,
        bytesWritten: activity.bytesWritten, flushes: activity.flushes, isFull: disk.waitsForRoom)
    }
  }

  var networkActivity: MachineStatus.NetworkActivity? {
    network?.activity.map {
      .init(
        framesReceived: $0.framesReceived, bytesReceived: $0.bytesReceived, framesSent: $0.framesSent,
        bytesSent: $0.bytesSent)
    }
  }

  /// How disks carry requests out: by themselves or by helpers, as `VOLARY_IO` has it for tests and measurements.
  private static var pace: BlockPace.Policy {
    switch getenv("VOLARY_IO").map({ String(cString: $0) }) {
    case "sync": .inline
    case "threads": .helpers
    default: .measured
    }
  }

  /// The kernel's worker, where it is to be had: else the machine's own does the work, and says so.
  private static func kernelNetwork(
    _ device: Descriptor, _ tap: TapDevice, _ memory: GuestMemory, _ send: (ControlEvent) -> Void
  ) -> KernelNetwork? {
    do throws(Errno) { return try KernelNetwork(device: device, tap: tap, memory: memory) } catch {
      send(.warning(line: "vhost-net cannot be used: \(error); the machine's own process moves frames"))
      return nil
    }
  }
}
