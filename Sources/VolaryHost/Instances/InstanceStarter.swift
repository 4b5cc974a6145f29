internal import Glibc
internal import HostSystem
internal import MachineControl

/// Starts the processes of an instance's machine. Names the step that fails.
package struct InstanceStarter {
  /// Milliseconds that a helper has for what should take a few.
  private static let patience: Int32 = 20_000

  private let plan: InstancePlan
  /// Descriptors in the order in which they are handed over.
  private var descriptors: [Descriptor] = []
  private var remarks: [String] = []

  private init(_ plan: InstancePlan) { self.plan = plan }

  /// Starts everything. The machine runs when this returns, and nothing is left of it when this throws.
  package static func start(_ plan: InstancePlan) throws(VolaryError) -> StartedMachine {
    var starter = InstanceStarter(plan)
    return try starter.start()
  }

  private mutating func start() throws(VolaryError) -> StartedMachine {
    let folder = plan.folder
    let log = try open(folder.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, "the log")
    let engine = try EngineSelection(plan.engine, for: plan.architecture, cpus: plan.cpus)
    var configuration = MachineConfiguration(
      name: String(plan.name.prefix(64)), architecture: plan.architecture, engine: engine.engine,
      cpus: plan.cpus, memory: plan.memory, boot: try openBoot(), disks: try openDisks(),
      entropySeed: (0..<32).map { _ in UInt8.random(in: 0...255) },
      virtioBus: plan.architecture.usualVirtioBus, kvm: engine.device.map { add($0) },
      record: add(try open(folder.end, O_RDWR | O_CREAT, "the record")),
      consoleLog: add(try open(folder.console, O_RDWR | O_CREAT, "the console's log")))
    configuration.restoration = plan.restoration.map { kept in
      .init(state: add(kept.state), memory: kept.memory.map { add($0) })
    }
    let (port, portOfMachine) = try UnixSocket.connected(.stream)
    // Port 0 is the guest's hvc0, which nobody reads: an instance's console is the serial line.
    let (_, consoleOfMachine) = try UnixSocket.connected(.stream)
    configuration.consolePorts = [
      .init(name: GuestPort.console, stream: add(consoleOfMachine.descriptor)),
      .init(name: GuestPort.control, stream: add(portOfMachine.descriptor)),
    ]
    let (broker, brokerOfMachine) = try UnixSocket.connected(.sequencedPacket)
    configuration.sockets = .init(broker: add(brokerOfMachine.descriptor))
    // Without it the machine runs too; whoever wants its limits held looks whether it is there.
    try? plan.group?.make()
    let network: NetworkProcess?
    (configuration.network, network) = try connect(log)
    if let network { try? plan.group?.add(process: network.process.identifier) }
    let listener: UnixListener
    do throws(UnixListener.Failure) {
      listener = try folder.withControlPath { (path) throws(UnixListener.Failure) in
        let listener = try UnixListener(path: path, .sequencedPacket)
        // The path is the machine's from here on.
        listener.leave()
        return listener
      }
    } catch {
      network?.process.terminate()
      throw VolaryError(
        error == .inUse ? .conflict : .failed, "\(plan.name): cannot listen at \(folder.control): \(error)")
    }
    do throws(VolaryError) {
      let (control, controlOfMachine) = try UnixSocket.connected(.sequencedPacket)
      let first = HelperProgram.firstDescriptor
      let process = try HelperProgram.machine.start(
        ["--control", "\(first)", "--listener", "\(first + 1)"], output: log,
        descriptors: [controlOfMachine.descriptor, listener.descriptor], outlivesStarter: true)
      // Before it has memory, which stays counted where it was taken.
      try? plan.group?.add(process: process.identifier)
      do throws(VolaryError) { try network?.awaitReady() } catch {
        process.terminate()
        throw error
      }
      let client = ControlClient(control)
      do throws(ControlError) {
        try client.configure(configuration, descriptors: descriptors, milliseconds: Self.patience)
        descriptors = []
        try client.call(.start, milliseconds: Self.patience)
      } catch {
        // A guest can be quick, or die at once: its record tells.
        if error != .closed || !hasRecord { throw failure(error, process) }
      }
      return StartedMachine(
        process: process, network: network?.process, control: client, port: port, broker: broker,
        engine: engine.reason, remarks: remarks)
    } catch {
      network?.process.terminate()
      throw error
    }
  }

  private var hasRecord: Bool {
    guard let file = try? Descriptor.open(plan.folder.end, O_RDONLY) else { return false }
    return (try? EndRecord.read(from: file)) != nil
  }

  // MARK: - Pieces

  private mutating func add(_ descriptor: Descriptor) -> Int {
    descriptors.append(descriptor)
    return descriptors.count - 1
  }

  private func open(_ path: String, _ flags: Int32, _ what: String) throws(VolaryError) -> Descriptor {
    do { return try Descriptor.open(path, flags) } catch {
      throw VolaryError(VolaryError.Code(error), "\(plan.name): cannot open \(what) \(path): \(error)")
    }
  }

  private mutating func openBoot() throws(VolaryError) -> MachineConfiguration.Boot {
    plan.architecture == .amd64 && !plan.folder.hasKernel ? try openFirmware() : try openKernel()
  }

  /// UEFI, which starts what the root disk has.
  private mutating func openFirmware() throws(VolaryError) -> MachineConfiguration.Boot {
    if plan.append?.isEmpty == false {
      remarks.append("volary.append is for a kernel; firmware starts this instance")
    }
    let firmware = try FirmwareFiles(code: nil, kept: plan.folder.variables, otherWay: "")
    let (code, variables) = (add(try firmware.openCode()), add(try firmware.openVariables()))
    return .firmware(.init(code: code, variables: variables, keepsVariables: true))
  }

  private mutating func openKernel() throws(VolaryError) -> MachineConfiguration.Boot {
    let kernel = add(try open(plan.folder.kernel, O_RDONLY, "the kernel"))
    var initrd: [Int] = []
    if access(plan.folder.initrd, F_OK) == 0 {
      initrd.append(add(try open(plan.folder.initrd, O_RDONLY, "the initial RAM disk")))
    }
    initrd.append(add(try job()))
    let append = RunPlan.imageCommandLine(
      plan.architecture, hasDisk: plan.disk != nil, growsDisk: plan.growsDisk, network: plan.network.asOfRun,
      isVerbose: false, extra: plan.append)
    return .kernel(.init(kernel, initrd: initrd, append: append))
  }

  /// What tells an image's first process to be an instance's.
  private func job() throws(VolaryError) -> Descriptor {
    var job = GuestJob(mode: .serve)
    job.hostname = plan.name
    job.keys = plan.cloudInit.keys
    do {
      let file = try Descriptor.memory(name: "job")
      let agent = GuestAgent.program(for: plan.architecture)
      try job.archive(agent: agent).withUnsafeBytes { try file.writeAll($0) }
      return file
    } catch { throw VolaryError("\(plan.name): cannot write the job: \(error)") }
  }

  private mutating func openDisks() throws(VolaryError) -> [MachineConfiguration.Disk] {
    var disks: [MachineConfiguration.Disk] = []
    if let chain = plan.disk {
      let opened = try OpenedDisk(chain, of: plan.name)
      if let remark = opened.remark { remarks.append(remark) }
      var disk = opened.disk { add($0) }
      disk.cache = plan.diskCache
      disks.append(disk)
    }
    for volume in plan.volumes {
      let opened = try OpenedDisk(volume.disk, of: plan.name, isReadOnly: volume.isReadOnly)
      if let remark = opened.remark { remarks.append(remark) }
      disks.append(opened.disk(serial: volume.serial) { add($0) })
    }
    for disk in plan.serverDisks { disks.append(try disk.connected(for: plan.name) { add($0) }) }
    return disks + (try seed())
  }

  /// The disk that cloud-init reads, where there is something for it. It is in memory alone.
  private mutating func seed() throws(VolaryError) -> [MachineConfiguration.Disk] {
    if plan.cloudInit.isEmpty { return [] }
    do {
      let bytes = try plan.cloudInit.disk(instance: plan.identifier, hostname: plan.name)
      let file = try Descriptor.memory(name: "seed")
      try bytes.withUnsafeBytes { try file.writeAll($0) }
      return [
        .init(
          file: add(file), format: .raw, size: UInt64(bytes.count), readOnly: true, serial: CloudInit.label)
      ]
    } catch { throw VolaryError("\(plan.name): cannot write the disk for cloud-init: \(error)") }
  }

  private mutating func connect(
    _ log: Descriptor
  ) throws(VolaryError) -> (MachineConfiguration.Network?, NetworkProcess?) {
    switch plan.network {
    case .none: return (nil, nil)
    case .nat(let publish):
      let network = try NetworkProcess.begin(publish: publish, log: log)
      return (card(network.frames.descriptor), network)
    case .tap(let name): return (tapCard(try HostNetwork.tap(name).attach(device: "")), nil)
    case .host(let name): return (tapCard(try HostNetwork(name).attach(device: plan.hostDevice)), nil)
    }
  }

  private mutating func tapCard(_ tap: Descriptor) -> MachineConfiguration.Network {
    var card = card(tap)
    card.isTAP = true
    if plan.architecture == .amd64, let vhost = try? Descriptor.open(VHostNet.path, O_RDWR) {
      card.vhost = add(vhost)
    }
    return card
  }

  private mutating func card(_ frames: Descriptor) -> MachineConfiguration.Network {
    .init(frames: add(frames), mac: plan.hardwareAddress)
  }

  private func failure(_ error: ControlError, _ process: ChildProcess) -> VolaryError {
    // The process's own last words say more than the socket that it closed.
    let exit = process.wait(milliseconds: error == .closed ? 2000 : 0)
    process.terminate()
    let words = LogTail.last(10, of: plan.folder.log)
    if case .refused(let refusal) = error {
      return VolaryError(
        refusal.code == .invalidConfiguration ? .usage : .failed, "\(plan.name): \(refusal)", lastWords: words
      )
    }
    let reason = exit.map { "its process \($0)" } ?? "\(error)"
    return VolaryError("\(plan.name): the machine could not be set up: \(reason)", lastWords: words)
  }
}

extension InstancePlan.Network {
  fileprivate var asOfRun: RunPlan.Network {
    switch self {
    case .none: .none
    case .nat: .nat
    case .tap(let name), .host(let name): .tap(name)
    }
  }
}
