package import MachineControl

/// What `volary run` was asked for, checked and with every default filled in.
package struct RunPlan {
  /// What the person's input and output are connected to.
  package enum Streams {
    /// The guest's console, a terminal in raw mode.
    case terminal
    /// Input, output and errors of the command, each by itself; for own kernels the console's bytes.
    case pipes
    /// Nothing to put in; the console's output as lines.
    case lines(@Sendable (String) -> Void)
  }

  /// Which of the guest's consoles is meant where one is shown.
  package enum Console: String, CaseIterable {
    case hvc0
    case serial

    /// The console that a kernel's command line names last. Without a name it is the serial line, which
    /// boards offer as the kernel's output.
    package static func named(in append: String) -> Console {
      let name = append.split(separator: " ").last { $0.hasPrefix("console=") }
      return name?.hasPrefix("console=hvc0") == true ? .hvc0 : .serial
    }
  }

  /// What the guest's network card leads to.
  package enum Network: Equatable, Sendable {
    case none
    /// User-mode NAT.
    case nat
    /// A TAP device of the host's, by its name.
    case tap(String)
  }

  /// The machine's name in messages, such as `debian/13`.
  package var name: String
  package var cpus: Int
  package var memory: ByteSize
  package var architecture: MachineConfiguration.Architecture
  package var engine: MachineConfiguration.Engine
  package var files: BootFiles
  /// What starts the machine from its disk; nil where a kernel is put in its memory.
  package var firmware: FirmwareFiles?
  /// An archive to follow the initial RAM disk, with the job for the guest's first process.
  package var jobArchive: [UInt8]?
  /// The guest's first process is an image's: it says when it is ready and how its job ended.
  package var reportsJob: Bool
  /// The kernel's command line.
  package var append: String
  /// The size of the root disk over the image's; nil leaves it as the image has it.
  package var diskSize: ByteSize?
  /// A disk that is written in place.
  package var ownDisk: OwnDisk?
  package var network: Network
  package var publish: [PublishedPort]
  package var streams: Streams
  package var console: Console
  package var isVerbose: Bool
  /// Seconds in which the guest has to come up; nil where it cannot be told.
  package var bootTimeout: Int?
  /// The file that a profile of the translator goes to, `-` for standard error.
  package var profile: String?
  /// Whether perf(1) is told what is where in translated code.
  package var hasPerfMap: Bool = false
  package var virtioBus: MachineConfiguration.VirtioBus = .mmio
  /// Where programs of the host reach the guest's sockets.
  package var vsock: String?

  package init(
    name: String, cpus: Int, memory: ByteSize, architecture: MachineConfiguration.Architecture,
    engine: MachineConfiguration.Engine, files: BootFiles, firmware: FirmwareFiles? = nil,
    jobArchive: [UInt8]? = nil, reportsJob: Bool, append: String, diskSize: ByteSize? = nil,
    ownDisk: OwnDisk? = nil, network: Network, publish: [PublishedPort], streams: Streams, console: Console,
    isVerbose: Bool, bootTimeout: Int? = nil, profile: String? = nil, hasPerfMap: Bool = false,
    virtioBus: MachineConfiguration.VirtioBus = .mmio, vsock: String? = nil
  ) {
    self.name = name
    self.cpus = cpus
    self.memory = memory
    self.architecture = architecture
    self.engine = engine
    self.files = files
    self.firmware = firmware
    self.jobArchive = jobArchive
    self.reportsJob = reportsJob
    self.append = append
    self.diskSize = diskSize
    self.ownDisk = ownDisk
    self.network = network
    self.publish = publish
    self.streams = streams
    self.console = console
    self.isVerbose = isVerbose
    self.bootTimeout = bootTimeout
    self.profile = profile
    self.hasPerfMap = hasPerfMap
    self.virtioBus = virtioBus
    self.vsock = vsock
  }

  /// Whether the person is told which engine was chosen and why: where that depends on the host, and where all is
  /// told.
  package var tellsEngine: Bool {
    if case .lines = streams { return false }
    return isVerbose || architecture == .amd64
  }
}

/// The files a machine boots from, by their paths.
package struct BootFiles {
  /// Nil where firmware starts what the disk has.
  package var kernel: String?
  package var initrd: String?
  /// A raw root disk, which is only read.
  package var disk: String?

  package init(
    kernel: String? = nil, initrd: String? = nil, disk: String? = nil
  ) {
    self.kernel = kernel
    self.initrd = initrd
    self.disk = disk
  }
}

extension RunPlan {
  /// The command line for an image's kernel. The serial line has the kernel's words, because hvc0 is
  /// the person's; a panic ends the machine instead of leaving it standing.
  package static func imageCommandLine(
    _ architecture: MachineConfiguration.Architecture, hasDisk: Bool, growsDisk: Bool, network: Network,
    isVerbose: Bool, extra: String?
  ) -> String {
    var words = hasDisk ? ["root=/dev/vda", "rootfstype=ext4", "rw"] : []
    if growsDisk { words.append("volary.grow") }
    words += ["console=ttyS0", "panic=-1"]
    words.append(isVerbose ? architecture.earlyConsole : "quiet")
    // What addresses there are behind a TAP device is for whoever made it.
    if network != .nat { words.append("volary.ip=none") }
    words.append(contentsOf: architecture.memoryParameters)
    if let extra { words.append(extra) }
    return words.joined(separator: " ")
  }
}

extension RunPlan {
  /// The command line of a person's own kernel. A PC's kernel knows of no serial console unless it is told, and
  /// there is no screen on which it would speak instead.
  package static func ownCommandLine(
    _ architecture: MachineConfiguration.Architecture, _ append: String?
  ) -> String {
    let text = append ?? ""
    let namesConsole = text.split(separator: " ").contains { $0.hasPrefix("console=") }
    guard architecture == .amd64, !namesConsole else { return text }
    return text.isEmpty ? "console=ttyS0" : "console=ttyS0 \(text)"
  }
}

extension MachineConfiguration.Architecture {
  /// What has a kernel speak before its console is there.
  package var earlyConsole: String {
    switch self {
    case .riscv64: "earlycon=sbi"
    case .amd64: "earlyprintk=ttyS0"
    }
  }

  /// How a kernel is to hand out memory. To a translated one each page fault is thousands of instructions, so programs
  /// get up to 16 pages at a time where there is room (Documentation/admin-guide/mm/transhuge.rst); those are one piece
  /// to the host too.
  package var memoryParameters: [String] {
    switch self {
    case .riscv64: ["thp_anon=16K-64K:always"]
    case .amd64: []
    }
  }

  /// How guests find their virtio devices unless they are told otherwise.
  package var usualVirtioBus: MachineConfiguration.VirtioBus {
    switch self {
    case .riscv64: .mmio
    case .amd64: .pci
    }
  }

  /// Whether its board can ask a guest to switch itself off.
  package var hasPowerButton: Bool { self == .amd64 }
}
