/// Everything a machine is made of, as a plain value. Files, disks and sockets are named by their place
/// in the list of descriptors that is handed over with it, so that the machine's process opens nothing.
///
/// Fill it in, then ``validate(descriptorCount:)``: what is wrong is told before anything starts.
package struct MachineConfiguration: Equatable, Sendable {
  /// The guest's processors.
  package enum Architecture: UInt8, Sendable, CaseIterable {
    case riscv64 = 1
    case amd64 = 2

    /// How many virtual processors a machine may have.
    package var cpuLimits: ClosedRange<Int> {
      switch self {
      case .riscv64: 1...8
      case .amd64: 1...64
      }
    }

    /// Bytes that a kernel's command line may have: its COMMAND_LINE_SIZE, without the terminator.
    package var appendLimit: Int {
      switch self {
      case .riscv64: 1023
      case .amd64: 2047
      }
    }

    /// What can execute such guests' instructions.
    package var engines: Set<Engine> {
      switch self {
      case .riscv64: [.auto, .translator, .interpreter]
      case .amd64: [.auto, .kvm]
      }
    }

    /// The engine that ``Engine/auto`` stands for.
    package var usualEngine: Engine {
      switch self {
      case .riscv64: .translator
      case .amd64: .kvm
      }
    }
  }

  /// What executes guest instructions.
  package enum Engine: UInt8, Sendable, CaseIterable {
    /// The fastest that works on this host for this guest.
    case auto = 0
    case translator = 1
    case interpreter = 2
    case kvm = 3
  }

  /// What to do when the guest asks for a restart.
  package enum ResetAction: UInt8, Sendable, CaseIterable {
    /// Report it and start over.
    case restart = 0
    /// Report it and end, as at power-off.
    case end = 1
  }

  /// How the guest finds its virtio devices.
  package enum VirtioBus: UInt8, Sendable, CaseIterable {
    /// In slots that the device tree lists.
    case mmio = 0
    /// On a PCI Express bus.
    case pci = 1
  }

  /// A place in the list of descriptors.
  package typealias DescriptorIndex = Int

  /// Names the process and its logs.
  package var name: String
  package var architecture: Architecture
  package var engine: Engine
  package var resetAction: ResetAction
  /// Virtual processors, as many as ``Architecture/cpuLimits`` allow.
  package var cpus: Int
  /// Guest memory in bytes: whole MiB, 64 MiB … 1 TiB.
  package var memory: UInt64
  package var boot: Boot
  package var disks: [Disk]
  package var network: Network?
  /// The ports of the virtio console. Port 0 is the guest's hvc0; the guest finds the others by name.
  package var consolePorts: [ConsolePort]
  /// A stream socket for the board's 16550 serial line; nil leaves it unconnected.
  package var serial: DescriptorIndex?
  /// Random bytes for the guest's kernel (`rng-seed`), at most 64.
  package var entropySeed: [UInt8]
  /// A file for what the translator did, written when the machine ends; counting costs the guest some time.
  package var profile: DescriptorIndex?
  /// A file for the names of generated code, which perf(1) looks for at `/tmp/perf-PID.map`.
  package var perfMap: DescriptorIndex?
  /// Where the board leaves the choice; a `pc` has all on its PCI Express bus.
  package var virtioBus: VirtioBus
  /// /dev/kvm, opened for reading and writing, for guests that it runs.
  package var kvm: DescriptorIndex?
  package var sockets: Sockets?
  /// A file, opened for writing, for how the machine ended (``EndRecord``). It is emptied first.
  package var record: DescriptorIndex?
  /// A file, opened for reading and writing, for the last of what the guest writes on its serial line
  /// (``ConsoleRing``). It goes on after what it holds.
  package var consoleLog: DescriptorIndex?
  /// Nil for a machine that is powered on. What else the configuration says has to be as it was then, but for the
  /// files behind its devices and the network card's address.
  package var restoration: Restoration?

  /// What a machine starts from.
  package enum Boot: Equatable, Sendable {
    /// A kernel that is put in its memory.
    case kernel(Kernel)
    /// Firmware, which starts what a disk has; for `amd64`.
    case firmware(Firmware)

    /// The kernel, if it is one.
    package var kernel: Kernel? { if case .kernel(let kernel) = self { kernel } else { nil } }
    /// The firmware, if it is that.
    package var firmware: Firmware? { if case .firmware(let firmware) = self { firmware } else { nil } }
  }

  /// UEFI firmware in two files.
  package struct Firmware: Equatable, Sendable {
    package var code: DescriptorIndex
    /// Flash memory with its variables.
    package var variables: DescriptorIndex
    /// Whether what the guest changes of its variables is written to the file.
    package var keepsVariables: Bool

    package init(code: DescriptorIndex, variables: DescriptorIndex, keepsVariables: Bool) {
      self.code = code
      self.variables = variables
      self.keepsVariables = keepsVariables
    }
  }

  /// A kernel and what it is told.
  package struct Kernel: Equatable, Sendable {
    package var file: DescriptorIndex
    /// Files that follow each other in memory as one initial RAM disk, each at a multiple of four bytes.
    package var initrd: [DescriptorIndex]
    /// The kernel's command line.
    package var append: String

    package init(_ file: DescriptorIndex, initrd: [DescriptorIndex] = [], append: String = "") {
      self.file = file
      self.initrd = initrd
      self.append = append
    }
  }

  /// A virtio block device.
  package struct Disk: Equatable, Sendable {
    /// How the file holds the disk. It is stated, never guessed from the file's content.
    package enum Format: UInt8, Sendable, CaseIterable {
      /// The disk's bytes, from the first on.
      case raw = 0
      /// What was written since, over a raw base. An empty file is a fresh overlay.
      case overlay = 1
      /// QEMU's format, by itself or over other layers.
      case qcow2 = 2
    }

    /// What the host's memory does for the disk.
    package enum Cache: UInt8, Sendable, CaseIterable {
      /// Writes are in the host's memory until the guest flushes.
      case writeback = 0
      /// A write is answered when it is on stable storage.
      case writethrough = 1
      /// Past the host's memory where the file system can do that (O_DIRECT), and else as ``writeback``; the host's
      /// disk has a memory of its own, so flushes are as ever.
      case none = 2
      /// Flushes are answered and not carried out: for what may be lost when the host goes down.
      case unsafe = 3
    }

    /// A file beneath the disk's own, only read.
    package struct Layer: Equatable, Sendable {
      package var file: DescriptorIndex
      package var format: Format

      package init(_ file: DescriptorIndex, _ format: Format = .raw) {
        self.file = file
        self.format = format
      }
    }

    /// What a server is to be asked for, by the Network Block Device protocol.
    package struct Server: Equatable, Sendable {
      /// The export's name.
      package var export: String
      /// What messages call the disk.
      package var name: String

      package init(export: String, name: String) {
        self.export = export
        self.name = name
      }
    }

    /// A file; of a disk on a server a connected stream socket, and for each connection after that the machine asks by
    /// ``ControlEvent/diskLost(disk:reason:)``.
    package var file: DescriptorIndex
    /// What shows where ``file`` holds nothing: from the nearest to the lowest. They may be shared with other disks.
    package var layers: [Layer]
    package var format: Format
    /// Bytes, whole sectors of 512. Of a disk on a server 0: it says that itself.
    package var size: UInt64
    package var readOnly: Bool
    /// The file goes with the machine: flushes need not reach the host's disk.
    package var ephemeral: Bool
    package var cache: Cache
    /// When the host has no room for what the guest writes, the machine stands still until there is some; else the
    /// guest sees an error.
    package var waitsForRoom: Bool
    /// With it the disk is one of a pair's sides, and its guest sees the pair.
    package var mirror: Mirror?
    /// What the guest reads as the disk's serial number, at most 20 bytes of ASCII.
    package var serial: String
    /// Nil for a disk in files.
    package var server: Server?

    package init(
      file: DescriptorIndex, layers: [Layer] = [], format: Format, size: UInt64,
      readOnly: Bool = false, ephemeral: Bool = false, cache: Cache = .writeback, waitsForRoom: Bool = false,
      mirror: Mirror? = nil, serial: String, server: Server? = nil
    ) {
      self.file = file
      self.layers = layers
      self.format = format
      self.size = size
      self.readOnly = readOnly
      self.ephemeral = ephemeral
      self.cache = cache
      self.waitsForRoom = waitsForRoom
      self.mirror = mirror
      self.serial = serial
      self.server = server
    }
  }

  /// A virtio network device.
  package struct Network: Equatable, Sendable {
    /// A packet socket, one Ethernet frame a packet; or a TAP device, attached.
    package var frames: DescriptorIndex
    /// Six bytes: a single station's address, not zero.
    package var mac: [UInt8]
    /// Whether ``frames`` is a TAP device, with the headers of virtio.
    package var isTAP: Bool
    /// /dev/vhost-net, opened for reading and writing, to have the kernel move frames of a TAP device; on a `pc` alone.
    package var vhost: DescriptorIndex?

    package init(
      frames: DescriptorIndex, mac: [UInt8], isTAP: Bool = false, vhost: DescriptorIndex? = nil
    ) {
      self.frames = frames
      self.mac = mac
      self.isTAP = isTAP
      self.vhost = vhost
    }
  }

  /// A port of the virtio console.
  package struct ConsolePort: Equatable, Sendable {
    package var name: String
    /// A stream socket. When its other end finishes sending, the port closes for the guest's reader.
    package var stream: DescriptorIndex

    package init(name: String, stream: DescriptorIndex) {
      self.name = name
      self.stream = stream
    }
  }

  /// A virtio socket device.
  package struct Sockets: Equatable, Sendable {
    /// A packet socket to the process that opens the host's sockets.
    package var broker: DescriptorIndex
    /// The guest's address: 3 or more, and not all ones.
    package var guestCID: UInt32

    package init(broker: DescriptorIndex, guestCID: UInt32 = 3) {
      self.broker = broker
      self.guestCID = guestCID
    }
  }

  /// What a machine goes on from that was kept by a ``Checkpoint``.
  package struct Restoration: Equatable, Sendable {
    /// The state of CPUs and devices.
    package var state: DescriptorIndex
    /// Files with the guest's memory, from the lowest to the one that was written last. They are only read.
    package var memory: [DescriptorIndex]

    package init(state: DescriptorIndex, memory: [DescriptorIndex]) {
      self.state = state
      self.memory = memory
    }
  }

  package init(
    name: String, architecture: Architecture = .riscv64, engine: Engine = .auto,
    resetAction: ResetAction = .restart, cpus: Int = 1, memory: UInt64 = 1 << 30, boot: Boot,
    disks: [Disk] = [], network: Network? = nil, consolePorts: [ConsolePort] = [],
    serial: DescriptorIndex? = nil, entropySeed: [UInt8] = [], profile: DescriptorIndex? = nil,
    perfMap: DescriptorIndex? = nil, virtioBus: VirtioBus = .mmio,
    kvm: DescriptorIndex? = nil, sockets: Sockets? = nil, record: DescriptorIndex? = nil,
    consoleLog: DescriptorIndex? = nil, restoration: Restoration? = nil
  ) {
    self.name = name
    self.architecture = architecture
    self.engine = engine
    self.resetAction = resetAction
    self.cpus = cpus
    self.memory = memory
    self.boot = boot
    self.disks = disks
    self.network = network
    self.consolePorts = consolePorts
    self.serial = serial
    self.entropySeed = entropySeed
    self.profile = profile
    self.perfMap = perfMap
    self.virtioBus = virtioBus
    self.kvm = kvm
    self.sockets = sockets
    self.record = record
    self.consoleLog = consoleLog
    self.restoration = restoration
  }
}
