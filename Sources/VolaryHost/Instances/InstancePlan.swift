package import MachineControl

/// A machine that a daemon starts for an instance, with every default filled in.
package struct InstancePlan: Sendable {
  package enum Network: Equatable, Sendable {
    case none
    /// User-mode NAT with the host's ports that lead to the guest.
    case nat([PublishedPort])
    /// A TAP device of the host's, by its name.
    case tap(String)
    /// A bridge or a TAP device of the host's, by its name.
    case host(String)
  }

  /// The root disk's serial number, by which its machine knows it.
  package static let diskSerial = MachineLauncher.rootDiskSerial

  /// A disk beside its own.
  package struct Volume: Equatable, Sendable {
    package let disk: DiskChain
    /// By which its guest knows it: 20 bytes at most.
    package let serial: String
    package let isReadOnly: Bool

    package init(disk: DiskChain, serial: String, isReadOnly: Bool) {
      self.disk = disk
      self.serial = serial
      self.isReadOnly = isReadOnly
    }
  }

  /// In messages and in the process's title.
  package var name: String
  package var folder: InstanceFolder
  /// Nil for a machine without one: images may be a kernel and no more.
  package var disk: DiskChain?
  /// What the host's memory does for it.
  package var diskCache = MachineConfiguration.Disk.Cache.writeback
  package var volumes: [Volume] = []
  /// And those that servers have.
  package var serverDisks: [ServerDisk] = []
  package var architecture: MachineConfiguration.Architecture
  package var engine: MachineConfiguration.Engine
  package var cpus: Int
  /// Bytes.
  package var memory: UInt64
  package var network: Network
  /// The network card's address, which stays: six bytes.
  package var hardwareAddress: [UInt8]
  /// What the host's side of the card is called, where a device is made for it.
  package var hostDevice: String
  /// Whether the disk is larger than its image's, so that the file system has to grow.
  package var growsDisk: Bool
  /// Where the machine's processes belong; nil where the host has no such groups.
  package var group: ControlGroup?
  /// Words behind those of the kernel's command line.
  package var append: String?
  /// By which cloud-init knows that the guest is new; the instance's own, which stays.
  package var identifier: String
  /// What the guest is told at its first start.
  package var cloudInit: CloudInit
  /// What the machine goes on from; nil for one that is powered on.
  package var restoration: KeptMachine.Opened?

  package init(
    name: String, folder: InstanceFolder, disk: DiskChain?, architecture: MachineConfiguration.Architecture,
    engine: MachineConfiguration.Engine = .auto, cpus: Int, memory: UInt64, network: Network,
    hardwareAddress: [UInt8], hostDevice: String = "", growsDisk: Bool = false, append: String? = nil,
    identifier: String = "", cloudInit: CloudInit = CloudInit()
  ) {
    self.name = name
    self.folder = folder
    self.disk = disk
    self.architecture = architecture
    self.engine = engine
    self.cpus = cpus
    self.memory = memory
    self.network = network
    self.hardwareAddress = hardwareAddress
    self.hostDevice = hostDevice
    self.growsDisk = growsDisk
    self.append = append
    self.identifier = identifier
    self.cloudInit = cloudInit
  }

  /// A name for the host's side of a network card, by chance: no other program's devices begin so.
  package static func makeHostDevice() -> String {
    "vol" + String(UInt64.random(in: 0..<1 << 40) | 1 << 40, radix: 16).dropFirst()
  }

  /// A locally administered address of a single station, by chance.
  package static func makeHardwareAddress() -> [UInt8] {
    [0x52, 0x54] + (0..<4).map { _ in UInt8.random(in: 0...255) }
  }
}
