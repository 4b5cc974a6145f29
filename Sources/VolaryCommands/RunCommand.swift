import ArgumentParser
internal import DiskImages
import Foundation
import HostSystem
import MachineControl
internal import VolaryHost

/// `volary run`: a throw-away machine in this terminal.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a throw-away machine in this terminal.",
    usage: "volary run IMAGE [OPTIONS] [-- COMMAND ...]",
    discussion: """
      The machine is gone when its command ends, with all that it changed, and its exit code is the \
      command's. Without a command it is a login shell; Ctrl-] leaves it at once. Where input or output \
      is no terminal, the command's input, output and errors are the ones of this process.

      SIGINT, SIGTERM and SIGHUP end the command and then the machine in order; a second one, or ten \
      seconds, cut its power.

      With --kernel, the machine boots a kernel of your own, and IMAGE may be left out: an uncompressed \
      Image for riscv64, a bzImage or vmlinux for amd64. There a signal presses the power button, where the \
      machine has one. amd64 machines run on the host's KVM, after a look whether that is hardware.

      With --disk-image and neither of them, the machine starts what the disk has, by UEFI firmware: an amd64 \
      system with a boot loader of its own, whose serial console is shown. So do images that were imported as a disk.
      """)

  @Argument(help: ArgumentHelp("What the machine is made from, such as debian/13.", valueName: "image"))
  var image: String?

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp(
      "What to run in it, after '--'; a login shell when nothing is given.", valueName: "command"))
  var command: [String] = []

  @Option(help: "Virtual processors: 1 to 8, of amd64 guests 1 to 64.")
  var cpus = 1

  @Option(help: "Memory, such as 512MiB or 2GiB.")
  var memory = ByteSize(bytes: 1 << 30)

  @Option(
    help: ArgumentHelp(
      """
      Size of the root disk, such as 10GiB; the image's own when not given. Or a disk on a server, such as \
      nbd://store/data, as --disk-image takes one.
      """, valueName: "size or server"))
  var disk: DiskChoice?

  @Option(
    name: [.long, .customShort("P")],
    help: ArgumentHelp(
      "Make a port of the guest reachable: 8080:80, 0.0.0.0:8080:80, 5353:53/udp. May be repeated.",
      valueName: "host:guest"), transform: { try PublishedPort(parsing: $0) })
  var publish: [PublishedPort] = []

  @Option(
    help: ArgumentHelp(
      "The guest's network: nat, none, or a TAP device of the host's (tap=NAME).", valueName: "network"))
  var network = RunPlan.Network.nat

  @Option(
    help: ArgumentHelp(
      "Make a Unix socket on which 'CONNECT <port>' leads to that vsock port of the guest; a guest's connection "
        + "to port N of CID 2 leads to path_N.", valueName: "path"))
  var vsock: String?

  @Option(
    help: "What executes guest instructions: auto, kvm (amd64 guests), translator or interpreter (riscv64).")
  var engine = EngineChoice.auto

  @Option(
    help: "The guest's processor architecture, riscv64 or amd64; the kernel's or the image's when not given.")
  var arch: ArchitectureChoice?

  @Option(
    name: [.customLong("env"), .customShort("e")],
    help: ArgumentHelp("Set a variable for the command. May be repeated.", valueName: "name=value"))
  var environment: [String] = []

  @Option(help: "The guest's host name; the image's name when not given.")
  var name: String?

  @Option(help: ArgumentHelp("Boot this kernel.", valueName: "file"))
  var kernel: String?

  @Option(help: ArgumentHelp("Its initial RAM disk.", valueName: "file"))
  var initrd: String?

  @Option(
    help: ArgumentHelp("Its command line; with an image's kernel, words added to it.", valueName: "text"))
  var append: String?

  @Option(
    help: ArgumentHelp(
      """
      A disk of your own, which keeps what is written: a file, or a server's, as nbd://store/data; with \
      ',format=qcow2' where it is not raw, with ',cache=none' to pass the host's memory by, or writethrough, or unsafe, \
      and with ',readonly'.
      """, valueName: "file"))
  var diskImage: String?

  @Option(
    help: ArgumentHelp(
      "UEFI firmware that starts the disk of --disk-image, with its variables beside it; Debian's OVMF when not given.",
      valueName: "file"))
  var firmware: String?

  @Option(
    help: ArgumentHelp(
      "Keep the firmware's variables, such as what is booted first, in this file, which is made when it is missing.",
      valueName: "file"))
  var nvram: String?

  @Option(help: "The console of an own kernel that is shown: hvc0 or serial; the one that --append names.")
  var console: RunPlan.Console?

  @Option(help: "Seconds in which the guest has to come up.")
  var bootTimeout = 300

  @Option(
    help: ArgumentHelp(
      "Write which guest code was hot, and what the translator did, at the machine's end. '-' is standard error.",
      valueName: "file"))
  var profile: String?

  @Flag(help: "Tell perf(1) what guest code is where, in /tmp/perf-PID.map of volary-machine.")
  var perfMap = false

  @Option(
    help: ArgumentHelp("How the guest finds its virtio devices: mmio or pci.", visibility: .hidden))
  var virtio: VirtioChoice?

  @Flag(help: "Show what the guest's kernel and Volary's own processes say, on standard error.")
  var verbose = false

  func validate() throws {
    if image == nil && kernel == nil && ownDisk == nil {
      throw ValidationError(
        "Name an image, such as 'volary run debian/13', or give --kernel, or --disk-image to start from a disk."
      )
    }
    if !startsFromDisk, let option = firmware != nil ? "--firmware" : nvram != nil ? "--nvram" : nil {
      throw ValidationError(
        "\(option) is for machines that start what a disk has: from --disk-image, or an image that is a disk."
      )
    }
    if startsFromDisk && append != nil {
      throw ValidationError("--append is for kernels; what starts from a disk has its own settings there.")
    }
    if startsFromDisk && arch == .riscv64 {
      throw ValidationError("Only amd64 machines start from a disk; give riscv64 ones --kernel.")
    }
    if isDiskOfImage && !(command.isEmpty && environment.isEmpty) {
      throw ValidationError("What starts from a disk has its own programs: give no command and no --env.")
    }
    if image == nil && !command.isEmpty { throw ValidationError("A command needs an image that runs it.") }
    if image == nil && !environment.isEmpty { throw ValidationError("--env needs an image that sets it.") }
    if diskImage != nil, case .server = disk {
      throw ValidationError("--disk and --disk-image both name a disk of your own, of which there is one.")
    }
    if image == nil && diskSize != nil {
      throw ValidationError("--disk resizes an image's disk; a disk of your own is given with --disk-image.")
    }
    if initrd != nil && kernel == nil { throw ValidationError("--initrd needs --kernel.") }
    let architecture = guestArchitecture
    if !architecture.engines.contains(engine.engine) {
      throw ValidationError(
        "--engine \(engine.rawValue) cannot run \(architecture) guests; take --engine "
          + "\(architecture.usualEngine), or auto, the fastest that works here.")
    }
    if (engine == .interpreter || architecture == .amd64) && (profile != nil || perfMap) {
      throw ValidationError(
        "--profile and --perf-map are about the translator; "
          + (architecture == .amd64 ? "amd64 guests have" : "--engine interpreter has") + " none.")
    }
    if architecture == .amd64 && virtio == .mmio {
      throw ValidationError("--virtio mmio: the devices of an amd64 machine are on its PCI Express bus.")
    }
    if network == .none && !publish.isEmpty { throw ValidationError("--publish needs a network.") }
    if let vsock, vsock.isEmpty || vsock.utf8.count > GuestPortBroker.longestPath || vsock.utf8.contains(0) {
      throw ValidationError(
        "--vsock: a socket's path has 1 to \(GuestPortBroker.longestPath) bytes, and this one has "
          + "\(vsock.utf8.count).")
    }
    if case .tap(let name) = network, !publish.isEmpty {
      throw ValidationError(
        "--publish is for --network nat: behind \(name) the guest is reached by its own address.")
    }
    if let bad = environment.first(where: { !$0.contains("=") || $0.hasPrefix("=") }) {
      throw ValidationError("'\(bad)' is no variable; write --env NAME=VALUE.")
    }
    if bootTimeout < 1 { throw ValidationError("--boot-timeout takes a positive number of seconds.") }
    if !architecture.cpuLimits.contains(cpus) {
      let error = ConfigurationError.cpuCount(cpus, most: architecture.cpuLimits.upperBound)
      throw ValidationError("--cpus \(cpus): \(error).")
    }
    let limits = MachineConfiguration.Limits.memory
    if !limits.contains(memory.bytes) || memory.bytes % (1 << 20) != 0 {
      throw ValidationError("--memory \(memory): \(ConfigurationError.memorySize(memory.bytes)).")
    }
  }

  func run() throws {
    let plan = try makePlan()
    if case .terminal = plan.streams {
      FileHandle.standardError.write(Data("volary: \(plan.name) starts; Ctrl-] leaves it\n".utf8))
    }
    let code = try RunSession.run(plan)
    if code != 0 { throw ExitCode(code) }
  }

  private func makePlan() throws -> RunPlan {
    let architecture = guestArchitecture
    let stored = try image.map { try BootFiles(image: $0, architecture: GuestArchitecture(architecture)) }
    if let kernel { try KernelImage.refuse(kernel, otherThan: GuestArchitecture(architecture)) }
    let files = BootFiles(
      kernel: kernel ?? stored?.kernel, initrd: initrd ?? stored?.initrd, disk: stored?.disk)
    let firmware = startsFromDisk ? try FirmwareFiles(code: firmware, kept: nvram) : nil
    let isTerminal = Terminal.isTerminal(0) && Terminal.isTerminal(1)
    let own = try ownDisk.map { try OwnDisk(parsing: $0) }
    // The job reaches an image's first process through its initial RAM disk, or an own one that works alike.
    let hasJob = image != nil && files.initrd != nil
    let commandLine = RunPlan.imageCommandLine(
      architecture, hasDisk: files.disk != nil, growsDisk: diskSize != nil, network: network,
      isVerbose: verbose,
      extra: append)
    return RunPlan(
      name: image ?? name ?? ((files.kernel ?? own?.path ?? "") as NSString).lastPathComponent, cpus: cpus,
      memory: memory, architecture: architecture, engine: engine.engine, files: files, firmware: firmware,
      jobArchive: hasJob ? try makeJob(onTerminal: isTerminal).archive() : nil, reportsJob: hasJob,
      append: image == nil ? RunPlan.ownCommandLine(architecture, append) : commandLine, diskSize: diskSize,
      ownDisk: own,
      network: network, publish: publish, streams: isTerminal ? .terminal : .pipes,
      console: hasJob ? .hvc0 : console ?? .named(in: append ?? ""), isVerbose: verbose,
      bootTimeout: hasJob ? bootTimeout : nil, profile: profile, hasPerfMap: perfMap,
      virtioBus: virtio?.bus ?? architecture.usualVirtioBus, vsock: vsock)
  }

  /// The root disk's size, if --disk says that.
  private var diskSize: ByteSize? { if case .size(let size) = disk { size } else { nil } }

  /// The disk of the person's own, however it was given.
  private var ownDisk: String? { if case .server(let text) = disk { text } else { diskImage } }

  /// Whether firmware starts what a disk has.
  private var startsFromDisk: Bool { (image == nil && kernel == nil && ownDisk != nil) || isDiskOfImage }

  /// Whether that disk is an image's.
  private var isDiskOfImage: Bool {
    guard kernel == nil, arch != .riscv64, let name = image.flatMap({ try? ImageName($0) }) else {
      return false
    }
    return (try? ImageStore().find(name, .amd64))?.record.firmware != nil
  }

  /// The architecture that was asked for, or else the one that kernel or image are for.
  private var guestArchitecture: MachineConfiguration.Architecture {
    if let arch { return arch.architecture }
    if startsFromDisk { return .amd64 }
    let found =
      if let kernel { KernelImage.architecture(of: URL(fileURLWithPath: kernel)) } else {
        image.flatMap { try? ImageName($0) }.flatMap { ImageStore().architecture(of: $0) }
      }
    return found == .amd64 ? .amd64 : .riscv64
  }

  private func makeJob(onTerminal: Bool) -> GuestJob {
    var job = GuestJob(mode: onTerminal ? .tty : .pipe, arguments: command)
    job.environment = environment.map { Array($0.utf8) }
    job.hostname = name ?? image?.map { $0.isLetter || $0.isNumber ? String($0) : "-" }.joined()
    job.terminal = onTerminal ? ProcessInfo.processInfo.environment["TERM"] : nil
    if onTerminal, let size = Terminal.size(of: 1) {
      job.columns = Int(size.columns)
      job.rows = Int(size.rows)
    }
    return job
  }
}

// MARK: - Choices

extension RunCommand {
  enum EngineChoice: String, CaseIterable, ExpressibleByArgument {
    case auto
    case translator
    case interpreter
    case kvm

    var engine: MachineConfiguration.Engine {
      switch self {
      case .auto: .auto
      case .translator: .translator
      case .interpreter: .interpreter
      case .kvm: .kvm
      }
    }
  }

  /// What --disk may say.
  enum DiskChoice: ExpressibleByArgument {
    case size(ByteSize)
    case server(String)

    init?(argument: String) {
      if NBDLocation.isMeant(by: argument) {
        self = .server(argument)
      } else if let size = ByteSize(argument: argument) {
        self = .size(size)
      } else {
        return nil
      }
    }
  }

  enum VirtioChoice: String, CaseIterable, ExpressibleByArgument {
    case mmio
    case pci

    var bus: MachineConfiguration.VirtioBus {
      switch self {
      case .mmio: .mmio
      case .pci: .pci
      }
    }
  }

  enum ArchitectureChoice: String, CaseIterable, ExpressibleByArgument {
    case riscv64
    case amd64

    var architecture: MachineConfiguration.Architecture {
      switch self {
      case .riscv64: .riscv64
      case .amd64: .amd64
      }
    }
  }
}

extension RunPlan.Console: ExpressibleByArgument {}

extension RunPlan.Network: ExpressibleByArgument {
  init?(argument: String) {
    switch argument {
    case "nat": self = .nat
    case "none": self = .none
    default:
      guard argument.hasPrefix("tap="), argument.utf8.count > 4 else { return nil }
      self = .tap(String(argument.dropFirst(4)))
    }
  }

  var defaultValueDescription: String {
    switch self {
    case .none: "none"
    case .nat: "nat"
    case .tap(let name): "tap=\(name)"
    }
  }
}
