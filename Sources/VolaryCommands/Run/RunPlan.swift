import MachineControl

/// What `volary run` was asked for, checked and with every default filled in.
struct RunPlan {
  /// What the person's input and output are connected to.
  enum Streams {
    /// The guest's console, a terminal in raw mode.
    case terminal
    /// Input, output and errors of the command, each by itself; for own kernels the console's bytes.
    case pipes
    /// Nothing to put in; the console's output as lines.
    case lines(@Sendable (String) -> Void)
  }

  /// Which of the guest's consoles is meant where one is shown.
  enum Console: String, CaseIterable {
    case hvc0
    case serial

    /// The console that a kernel's command line names last. Without a name it is the serial line, which
    /// boards offer as the kernel's output.
    static func named(in append: String) -> Console {
      let name = append.split(separator: " ").last { $0.hasPrefix("console=") }
      return name?.hasPrefix("console=hvc0") == true ? .hvc0 : .serial
    }
  }

  /// The machine's name in messages, such as `debian/13`.
  var name: String
  var cpus: Int
  var memory: ByteSize
  var architecture: MachineConfiguration.Architecture
  var engine: MachineConfiguration.Engine
  var files: BootFiles
  /// An archive to follow the initial RAM disk, with the job for the guest's first process.
  var jobArchive: [UInt8]?
  /// The guest's first process is an image's: it says when it is ready and how its job ended.
  var reportsJob: Bool
  /// The kernel's command line.
  var append: String
  /// The size of the root disk over the image's; nil leaves it as the image has it.
  var diskSize: ByteSize?
  /// A raw disk that is written in place.
  var ownDisk: String?
  var hasNetwork: Bool
  var publish: [PublishedPort]
  var streams: Streams
  var console: Console
  var isVerbose: Bool
  /// Seconds in which the guest has to come up; nil where it cannot be told.
  var bootTimeout: Int?
  /// The file that a profile of the translator goes to, `-` for standard error.
  var profile: String?
  /// Whether perf(1) is told what is where in translated code.
  var hasPerfMap = false
  var virtioBus = MachineConfiguration.VirtioBus.mmio

  /// Whether the person is told which engine was chosen and why: where that depends on the host, and where all is
  /// told.
  var tellsEngine: Bool {
    if case .lines = streams { return false }
    return isVerbose || architecture == .amd64
  }
}

/// The files a machine boots from, by their paths.
struct BootFiles {
  var kernel: String
  var initrd: String?
  /// A raw root disk, which is only read.
  var disk: String?
}

extension RunPlan {
  /// The command line for an image's kernel. The serial line has the kernel's words, because hvc0 is
  /// the person's; a panic ends the machine instead of leaving it standing.
  static func imageCommandLine(
    _ architecture: MachineConfiguration.Architecture, hasDisk: Bool, growsDisk: Bool, hasNetwork: Bool,
    isVerbose: Bool, extra: String?
  ) -> String {
    var words = hasDisk ? ["root=/dev/vda", "rootfstype=ext4", "rw"] : []
    if growsDisk { words.append("volary.grow") }
    words += ["console=ttyS0", "panic=-1"]
    words.append(isVerbose ? architecture.earlyConsole : "quiet")
    if !hasNetwork { words.append("volary.ip=none") }
    words.append(contentsOf: architecture.memoryParameters)
    if let extra { words.append(extra) }
    return words.joined(separator: " ")
  }
}

extension RunPlan {
  /// The command line of a person's own kernel. A PC's kernel knows of no serial console unless it is told, and
  /// there is no screen on which it would speak instead.
  static func ownCommandLine(
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
  var earlyConsole: String {
    switch self {
    case .riscv64: "earlycon=sbi"
    case .amd64: "earlyprintk=ttyS0"
    }
  }

  /// How a kernel is to hand out memory. To a translated one each page fault is thousands of instructions, so programs
  /// get up to 16 pages at a time where there is room (Documentation/admin-guide/mm/transhuge.rst); those are one piece
  /// to the host too.
  var memoryParameters: [String] {
    switch self {
    case .riscv64: ["thp_anon=16K-64K:always"]
    case .amd64: []
    }
  }

  /// How guests find their virtio devices unless they are told otherwise.
  var usualVirtioBus: MachineConfiguration.VirtioBus {
    switch self {
    case .riscv64: .mmio
    case .amd64: .pci
    }
  }

  /// Whether its board can ask a guest to switch itself off.
  var hasPowerButton: Bool { self == .amd64 }
}
