import DiskImages
import Foundation
import Glibc
import HostSystem
import MachineControl

/// A machine's process, its helpers, and this side's ends of what connects them.
final class LaunchedMachine {
  let process: ChildProcess
  let control: ControlClient
  /// What the machine's process says on standard output and error.
  let words: Descriptor
  /// The process that connects the guest's network.
  let nat: ChildProcess?
  /// What that says on standard output and error.
  let natWords: Descriptor?
  /// The guest's 16550.
  let serial: UnixSocket
  /// The guest's hvc0.
  let console: UnixSocket
  /// Lines from the guest's first process: `ready`, `exit N`.
  let jobControl: UnixSocket
  /// The command's own streams.
  let standardInput: UnixSocket
  let standardOutput: UnixSocket
  let standardError: UnixSocket
  /// What will hold a profile for standard error when the machine has ended.
  let profile: Descriptor?
  /// What opens sockets for the guest's, where that was asked for.
  private let broker: GuestPortBroker?

  fileprivate init(
    process: ChildProcess, control: ControlClient, words: Descriptor,
    network: NetworkProcess?, serial: UnixSocket, ports: [UnixSocket], profile: Descriptor?,
    broker: GuestPortBroker?
  ) {
    self.profile = profile
    self.broker = broker
    self.process = process
    self.control = control
    self.words = words
    nat = network?.process
    natWords = network?.words
    self.serial = serial
    console = ports[0]
    jobControl = ports[1]
    standardInput = ports[2]
    standardOutput = ports[3]
    standardError = ports[4]
  }

  /// Ends whatever still runs.
  func terminate() {
    process.terminate()
    nat?.terminate()
    broker?.stop()
  }
}

/// Starts the processes of a machine and hands over its configuration. Names the step that fails.
struct MachineLauncher {
  /// The guest's first process finds all but the first by name.
  private static let portNames = [
    GuestPort.console, GuestPort.control, GuestPort.standardInput, GuestPort.standardOutput,
    GuestPort.standardError,
  ]

  /// What the guest, and messages about them, know the disks by.
  static let rootDiskSerial = "root"
  static let ownDiskSerial = "own"

  /// Milliseconds that a helper has for what should take a few.
  private static let patience: Int32 = 20_000

  let plan: RunPlan
  let engine: EngineSelection
  /// Descriptors in the order in which they are handed over.
  private var descriptors: [Descriptor] = []

  init(_ plan: RunPlan, _ engine: EngineSelection) {
    self.plan = plan
    self.engine = engine
  }

  /// Starts everything. The machine runs when this returns.
  mutating func launch() throws(VolaryError) -> LaunchedMachine {
    try checkMemory()
    let disks = try openDisks()
    let boot = try openBoot()
    let sockets = try plan.vsock.map { (path) throws(VolaryError) in try startBroker(path) }
    let network = plan.network == .nat ? try NetworkProcess.begin(publish: plan.publish) : nil
    let card = if let network { addCard(network.frames.descriptor) } else { try attachTAP() }
    let (serial, serialOfMachine) = try UnixSocket.connected(.stream)
    var ports: [UnixSocket] = []
    var consolePorts: [MachineConfiguration.ConsolePort] = []
    for name in Self.portNames {
      let (ours, ofMachine) = try UnixSocket.connected(.stream)
      ports.append(ours)
      consolePorts.append(.init(name: name, stream: add(ofMachine.descriptor)))
    }
    let seed = (0..<32).map { _ in UInt8.random(in: 0...255) }
    var configuration = MachineConfiguration(
      name: String(plan.name.prefix(64)), architecture: plan.architecture, engine: engine.engine,
      resetAction: plan.reportsJob ? .end : .restart, cpus: plan.cpus, memory: plan.memory.bytes,
      boot: boot, disks: disks, network: card,
      consolePorts: consolePorts, serial: add(serialOfMachine.descriptor), entropySeed: seed,
      virtioBus: plan.virtioBus, kvm: engine.device.map { add($0) },
      sockets: sockets.map { .init(broker: add($0.machine.descriptor)) })

    let profile = try plan.profile.map { (path) throws(VolaryError) in try openProfile(path) }
    configuration.profile = profile.map { add($0) }
    let (process, control, words) = try startProcess()
    let machine = LaunchedMachine(
      process: process, control: ControlClient(control), words: words.descriptor, network: network,
      serial: serial, ports: ports, profile: plan.profile == "-" ? profile : nil, broker: sockets?.broker)
    if plan.hasPerfMap { configuration.perfMap = add(try openPerfMap(of: process)) }
    do throws(VolaryError) { try network?.awaitReady() } catch {
      machine.terminate()
      throw error
    }
    do {
      try machine.control.configure(configuration, descriptors: descriptors, milliseconds: Self.patience)
      // From here on only the machine's process has its ends, so that their closing shows.
      descriptors = []
      for end in [words, serial] + ports { try end.descriptor.setNonblocking(true) }
      try start(machine.control)
    } catch {
      throw failure(error, machine)
    }
    return machine
  }

  private func start(_ control: ControlClient) throws(ControlError) {
    do throws(ControlError) { try control.call(.start, milliseconds: Self.patience) } catch {
      // A guest can be quick, or die at once: what it sent is still to be read.
      if error != .closed { throw error }
    }
  }

  /// Starts the machine's process. Its ends of the sockets are closed here when this returns, so that
  /// its death shows on ours.
  private func startProcess() throws(VolaryError) -> (ChildProcess, control: UnixSocket, words: UnixSocket) {
    let (control, controlOfMachine) = try UnixSocket.connected(.sequencedPacket)
    let (words, wordsOfMachine) = try UnixSocket.connected(.stream)
    let process = try HelperProgram.machine.start(
      ["--control", "\(HelperProgram.firstDescriptor)"], output: wordsOfMachine.descriptor,
      descriptors: [controlOfMachine.descriptor])
    return (process, control, words)
  }

  private mutating func add(_ descriptor: Descriptor) -> Int {
    descriptors.append(descriptor)
    return descriptors.count - 1
  }

  private func failure(_ error: any Error, _ machine: LaunchedMachine) -> VolaryError {
    // The process's own last words say more than the socket that it closed.
    let exit = machine.process.wait(milliseconds: error as? ControlError == .closed ? 2000 : 0)
    var log = ConsoleLog()
    _ = try? machine.words.setNonblocking(true)
    if let said = Relay.read(machine.words.raw) { log.append(said) }
    if case .refused(let refusal) = error as? ControlError {
      let code: VolaryError.Code = refusal.code == .invalidConfiguration ? .usage : .failed
      return VolaryError(
        code, "\(plan.name): \(refusal)", wayOut: Self.wayOut(of: refusal), lastWords: log.last(10))
    }
    let reason = exit.map { "its process \($0)" } ?? "\(error)"
    return VolaryError("\(plan.name): the machine could not be set up: \(reason)", lastWords: log.last(10))
  }

  private static func wayOut(of refusal: ControlFailure) -> String? {
    if refusal.message == Errno.noMemory.description {
      return "give it less with --memory, or raise the limit of address space ('ulimit -v')"
    }
    if refusal.message.hasSuffix(Errno(EFBIG).description) {
      return "give it less with --disk, or raise the limit of file sizes ('ulimit -f')"
    }
    return nil
  }

  // MARK: - Pieces

  /// The host gives memory only when the guest uses it, and ends the machine when there is none left:
  /// one that is larger than the host would come up and die later.
  private func checkMemory() throws(VolaryError) {
    guard let total = HostMemory.total, plan.memory.bytes > total else { return }
    throw VolaryError(
      "\(plan.name): \(plan.memory) of memory are more than the \(total >> 20)MiB of this host, with its swap space",
      wayOut: "give it less with --memory")
  }

  private func memoryFile(_ bytes: [UInt8], _ what: String) throws(VolaryError) -> Descriptor {
    do {
      let file = try Descriptor.memory(name: "volary")
      try bytes.withUnsafeBytes { try file.writeAll($0) }
      return file
    } catch {
      throw VolaryError("cannot write \(what): \(error)")
    }
  }

  private mutating func openBoot() throws(VolaryError) -> MachineConfiguration.Boot {
    if let kernel = plan.files.kernel {
      let file = add(try .reading(kernel, "the kernel"))
      var initrd: [Int] = []
      if let path = plan.files.initrd { initrd.append(add(try .reading(path, "the initial RAM disk"))) }
      if let job = plan.jobArchive { initrd.append(add(try memoryFile(job, "the job"))) }
      return .kernel(.init(file, initrd: initrd, append: plan.append))
    }
    guard let firmware = plan.firmware else {
      throw VolaryError("\(plan.name): there is neither a kernel nor firmware to start")
    }
    return .firmware(
      .init(
        code: add(try firmware.openCode()), variables: add(try firmware.openVariables()),
        keepsVariables: firmware.kept != nil))
  }

  private mutating func openDisks() throws(VolaryError) -> [MachineConfiguration.Disk] {
    var disks: [MachineConfiguration.Disk] = []
    if let path = plan.files.disk {
      let base = try Descriptor.reading(path, "the root disk")
      let baseSize = try size(of: base, path)
      let size = plan.diskSize?.bytes ?? baseSize
      if size < baseSize {
        throw VolaryError(
          .usage, "--disk \(ByteSize(bytes: size)) is smaller than the image's disk",
          wayOut: "give at least \(ByteSize(bytes: baseSize))")
      }
      disks.append(
        .init(
          file: add(try ScratchFile.make()), layers: [.init(add(base))], format: .overlay, size: size & ~511,
          ephemeral: true, serial: Self.rootDiskSerial))
    }
    if let own = plan.ownDisk, let location = own.location {
      let disk = ServerDisk(
        location, format: own.format, cache: own.cache, isReadOnly: own.isReadOnly, serial: Self.ownDiskSerial
      )
      disks.append(try disk.connected(for: plan.name) { add($0) })
    } else if let own = plan.ownDisk {
      let disk = try openOwnDisk(own.path, isReadOnly: own.isReadOnly)
      let size =
        own.format == .raw ? try size(of: disk, own.path) : try Self.sizeInHeader(of: disk, own.path)
      disks.append(
        .init(
          file: add(disk), format: own.format, size: size, readOnly: own.isReadOnly, cache: own.cache,
          serial: Self.ownDiskSerial))
    }
    return disks
  }

  private func size(of disk: Descriptor, _ path: String) throws(VolaryError) -> UInt64 {
    do {
      let size = UInt64(max(0, try disk.size()))
      if size > 0, size % 512 == 0 { return size }
    } catch { throw VolaryError("cannot read the size of \(path): \(error)") }
    throw VolaryError(
      .usage, "\(path) is no raw disk: its size is not whole sectors of 512 bytes",
      wayOut: "make one with 'truncate -s 10G \(path)'")
  }

  /// The size of a qcow2 disk, which stands by itself.
  private static func sizeInHeader(of disk: Descriptor, _ path: String) throws(VolaryError) -> UInt64 {
    let info: QCOW2Info
    do throws(DiskImageError) {
      info = try QCOW2Info(reading: try HostFile(disk, name: path, readOnly: true))
    } catch { throw VolaryError(error.description) }
    guard let backing = info.backingName else { return info.size & ~511 }
    throw VolaryError(
      .usage, "the disk \(path) is a layer over \(backing), and 'volary run' takes no layers",
      wayOut: "put both together with 'volary image convert'")
  }

  /// Opens and locks a disk; the lock lasts as long as any process has the disk from here.
  private func openOwnDisk(_ path: String, isReadOnly: Bool) throws(VolaryError) -> Descriptor {
    let disk: Descriptor
    do { disk = try Descriptor.open(path, isReadOnly ? O_RDONLY : O_RDWR) } catch {
      throw VolaryError(
        VolaryError.Code(error), "cannot open the disk \(path): \(error)",
        wayOut: error == .notFound
          ? "make one with 'truncate -s 10G \(path)'" : error.rightsAdvice(path))
    }
    do { try disk.lock(exclusive: !isReadOnly) } catch {
      throw VolaryError(.conflict, "the disk \(path) is in use by another machine (\(error))")
    }
    return disk
  }

  /// The file of a profile. Standard error may be a terminal in raw mode: what is for it is kept for later.
  private func openProfile(_ path: String) throws(VolaryError) -> Descriptor {
    if path == "-" { return try memoryFile([], "the profile") }
    do { return try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644) } catch {
      throw VolaryError(VolaryError.Code(error), "cannot write the profile to \(path): \(error)")
    }
  }

  /// The file that perf(1) looks for when it meets generated code of a process. Nobody else's of that name is
  /// written to.
  private func openPerfMap(of process: ChildProcess) throws(VolaryError) -> Descriptor {
    let path = "/tmp/perf-\(process.identifier).map"
    unlink(path)
    do { return try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600) } catch {
      throw VolaryError(VolaryError.Code(error), "cannot make the perf map \(path): \(error)")
    }
  }

  /// A locally administered address of a single station.
  private static func randomHardwareAddress() -> [UInt8] {
    [0x52, 0x54] + (0..<4).map { _ in UInt8.random(in: 0...255) }
  }

  // MARK: - Network

  private mutating func addCard(_ frames: Descriptor) -> MachineConfiguration.Network {
    .init(frames: add(frames), mac: Self.randomHardwareAddress())
  }

  /// Attaches to the TAP device that was asked for, if one was; the kernel moves its frames where it can.
  private mutating func attachTAP() throws(VolaryError) -> MachineConfiguration.Network? {
    guard case .tap(let name) = plan.network else { return nil }
    let tap: Descriptor
    do throws(TapDevice.Failure) { tap = try TapDevice.attach(name) } catch {
      throw VolaryError(tap: name, error)
    }
    var card = addCard(tap)
    card.isTAP = true
    // Other engines would have to learn by themselves what the kernel writes.
    guard plan.architecture == .amd64 else { return card }
    do throws(Errno) { card.vhost = add(try Descriptor.open(VHostNet.path, O_RDWR)) } catch {
      tell("\(name): the machine's own process moves frames, as \(VHostNet.path) cannot be opened (\(error))")
      return card
    }
    tell("\(name): the kernel moves frames (vhost-net)")
    return card
  }

  /// A line for a person who wants to know all.
  private func tell(_ line: String) {
    if plan.isVerbose { warn(line) }
  }

  private func warn(_ line: String) { FileHandle.standardError.write(Data("volary: \(line)\n".utf8)) }

  // MARK: - Sockets

  /// Listens where programs of the host find the guest's sockets. Returns the machine's end of what leads there.
  private func startBroker(
    _ path: String
  ) throws(VolaryError) -> (broker: GuestPortBroker, machine: UnixSocket) {
    let listener: UnixListener
    do { listener = try UnixListener(path: path) } catch {
      switch error {
      case .inUse: throw VolaryError(.conflict, "the socket \(path) is in use by another program")
      case .isNoSocket:
        throw VolaryError(.conflict, "cannot make the socket \(path): a file of that name is there already")
      case .refused(let reason):
        throw VolaryError(VolaryError.Code(reason), "cannot make the socket \(path): \(reason)")
      }
    }
    if listener.hasReplaced { warn("the socket \(path), left by a program that is gone, was made anew") }
    let (ours, machine) = try UnixSocket.connected(.sequencedPacket)
    do { return (try GuestPortBroker(listener: listener, machine: ours), machine) } catch {
      throw VolaryError("cannot serve the socket \(path): \(error)")
    }
  }
}
