import MachineControl
import Testing

@Suite struct ConfigurationTests {
  private func error(
    _ change: (inout MachineConfiguration) -> Void, descriptors: Int = Samples.descriptorCount
  ) -> ConfigurationError? {
    var configuration = Samples.configuration
    change(&configuration)
    do { try configuration.validate(descriptorCount: descriptors) } catch { return error }
    return nil
  }

  private func kernelError(
    _ architecture: MachineConfiguration.Architecture = .riscv64,
    _ change: (inout MachineConfiguration.Kernel) -> Void
  ) -> ConfigurationError? {
    var configuration = architecture == .amd64 ? Samples.accelerated : Samples.configuration
    guard case .kernel(var kernel) = configuration.boot else { return nil }
    change(&kernel)
    configuration.boot = .kernel(kernel)
    do { try configuration.validate(descriptorCount: Samples.descriptorCount + 3) } catch { return error }
    return nil
  }

  @Test func acceptsWhatIsRight() {
    #expect(error { _ in } == nil)
    #expect(error { $0.cpus = 8 } == nil)
    #expect(error { $0.memory = 64 << 20 } == nil)
    // Two overlays over one base, as two disks of one image.
    #expect(
      error({ $0.disks[1] = .init(file: 5, layers: [.init(4)], format: .overlay, size: 512, serial: "b") })
        == nil)
  }

  @Test func refusesWhatIsWrong() {
    #expect(error { $0.name = "" } == .emptyName)
    #expect(error { $0.name = String(repeating: "n", count: 65) } == .nameTooLong)
    #expect(error { $0.cpus = 0 } == .cpuCount(0, most: 8))
    #expect(error { $0.cpus = 9 } == .cpuCount(9, most: 8))
    #expect(error { $0.memory = 63 << 20 } == .memorySize(63 << 20))
    #expect(error { $0.memory += 4096 } == .memorySize(2 << 30 + 4096))
    #expect(error { $0.memory = .max } == .memorySize(.max))
    #expect(
      kernelError { $0.append = String(repeating: "a", count: 1024) }
        == .appendTooLong(bytes: 1024, most: 1023))
    #expect(kernelError { $0.append = "a\0b" } == .appendHoldsNull)
    #expect(kernelError { $0.initrd = Array(repeating: 1, count: 9) } == .tooMany("initrd files", most: 8))
    #expect(error { $0.disks[0].size = 511 } == .diskSize(disk: 0, bytes: 511))
    #expect(error { $0.disks[1].size = 0 } == .diskSize(disk: 1, bytes: 0))
    #expect(error { $0.disks[0].layers = [] } == .overlayWithoutBase(disk: 0))
    #expect(error { $0.disks[1].layers = [.init(4)] } == .rawDiskWithLayers(disk: 1))
    #expect(error { $0.disks[0].readOnly = true } == .readOnlyOverlay(disk: 0))
    #expect(error { $0.disks[0].serial = "" } == .diskSerial(disk: 0))
    // A disk on a server stands by itself, and may leave its size to the server.
    func remote(_ change: (inout MachineConfiguration.Disk) -> Void) -> ConfigurationError? {
      error {
        $0.disks[1].server = .init(export: "data", name: "nbd://store/data")
        $0.disks[1].size = 0
        change(&$0.disks[1])
      }
    }
    #expect(remote { _ in } == nil)
    #expect(remote { $0.format = .qcow2 } == nil)
    #expect(remote { $0.size = 100 } == .diskSize(disk: 1, bytes: 100))
    #expect(
      remote { ($0.format, $0.layers) = (.qcow2, [.init(4)]) } == .serverDiskWithLayers(disk: 1))
    #expect(remote { $0.server?.export = "a\u{0}" } == .exportName(disk: 1))
    #expect(remote { $0.server?.export = String(repeating: "x", count: 4097) } == .exportName(disk: 1))
    #expect(remote { $0.server = nil } == .diskSize(disk: 1, bytes: 0))
    #expect(error { $0.disks[0].serial = "über" } == .diskSerial(disk: 0))
    #expect(error { $0.disks += [$0.disks[0], $0.disks[0], $0.disks[0]] } == .tooMany("disks", most: 4))
    #expect(error { $0.network?.mac = [1, 2, 3] } == .hardwareAddress)
    #expect(error { $0.network?.mac = [1, 0, 0, 0, 0, 0] } == .hardwareAddress)  // a group's address
    #expect(error { $0.network?.mac = [0, 0, 0, 0, 0, 0] } == .hardwareAddress)
    #expect(error { $0.consolePorts[1].name = "a b" } == .portName(1))
    #expect(
      error { $0.consolePorts[1].name = $0.consolePorts[0].name } == .portNameTwice("org.volary.console"))
    #expect(error { $0.entropySeed = Array(repeating: 0, count: 65) } == .entropySeedTooLong(65))
    #expect(error { $0.engine = .kvm } == .engineCannotRun(engine: .kvm, architecture: .riscv64))
    #expect(error { $0.network?.vhost = 9 } == .vhostWithoutUse)
    #expect(
      error {
        $0.network?.isTAP = true
        $0.network?.vhost = 9
      } == .vhostWithoutUse)
    #expect(error { $0.kvm = 9 } == .device(isNeeded: false, architecture: .riscv64))
    #expect(
      error { $0.sockets = .init(broker: 9) } == .descriptorUsedTwice(what: "the broker of sockets", index: 9)
    )
    for address in [0, 1, 2, .max] as [UInt32] {
      #expect(error { $0.sockets = .init(broker: 10, guestCID: address) } == .guestAddress(address))
    }
  }

  /// A board's slots without a bus are eight, and a bus has room for all.
  @Test func slotsAreCounted() {
    func fill(_ configuration: inout MachineConfiguration, disks: Int) {
      configuration.sockets = .init(broker: 10)
      for index in 2..<disks {
        configuration.disks.append(.init(file: 9 + index, format: .raw, size: 512, serial: "d"))
      }
    }
    #expect(error({ fill(&$0, disks: 3) }, descriptors: 13) == nil)
    #expect(
      error({ fill(&$0, disks: 4) }, descriptors: 13) == .tooMany("virtio devices without a bus", most: 8))
    #expect(
      error(
        {
          fill(&$0, disks: 4)
          $0.virtioBus = .pci
        }, descriptors: 13) == nil)
  }

  @Test func amd64HasLimitsOfItsOwn() {
    func error(_ change: (inout MachineConfiguration) -> Void) -> ConfigurationError? {
      self.error(
        {
          $0.architecture = .amd64
          $0.engine = .auto
          $0.kvm = 10
          change(&$0)
        }, descriptors: Samples.descriptorCount + 1)
    }
    #expect(error { $0.cpus = 64 } == nil)
    #expect(error { $0.engine = .kvm } == nil)
    #expect(kernelError(.amd64) { $0.append = String(repeating: "a", count: 2047) } == nil)
    #expect(error { $0.cpus = 65 } == .cpuCount(65, most: 64))
    #expect(
      kernelError(.amd64) { $0.append = String(repeating: "a", count: 2048) }
        == .appendTooLong(bytes: 2048, most: 2047))
    #expect(error { $0.engine = .translator } == .engineCannotRun(engine: .translator, architecture: .amd64))
    #expect(error { $0.kvm = nil } == .device(isNeeded: true, architecture: .amd64))
    #expect(error { $0.kvm = 9 } == .descriptorUsedTwice(what: "/dev/kvm", index: 9))
    let firmware = MachineConfiguration.Firmware(code: 0, variables: 1, keepsVariables: true)
    #expect(error { $0.boot = .firmware(firmware) } == nil)
    #expect(
      self.error { $0.boot = .firmware(firmware) } == .firmware(architecture: .riscv64), "it is a PC's")
    #expect(
      error { $0.boot = .firmware(.init(code: 0, variables: 0, keepsVariables: true)) }
        == .descriptorUsedTwice(what: "the firmware's variables", index: 0))
  }

  @Test func refusesDescriptorsThatAreNotThere() {
    #expect(
      error({ _ in }, descriptors: 9) == .noSuchDescriptor(what: "the serial line", index: 9, count: 9))
    #expect(
      error { $0.disks[0].layers = [.init(10)] }
        == .noSuchDescriptor(what: "a layer of disk 0", index: 10, count: 10))
    #expect(error { $0.profile = 12 } == .noSuchDescriptor(what: "the profile", index: 12, count: 10))
    #expect(error { $0.perfMap = 9 } == .descriptorUsedTwice(what: "the perf map", index: 9))
    #expect(error { $0.record = 12 } == .noSuchDescriptor(what: "the record", index: 12, count: 10))
    #expect(error { $0.consoleLog = 9 } == .descriptorUsedTwice(what: "the console log", index: 9))
    #expect(kernelError { $0.file = -1 } == .noSuchDescriptor(what: "the kernel", index: -1, count: 13))
    #expect(error { $0.disks[1].file = 3 } == .descriptorUsedTwice(what: "disk 1", index: 3))
    #expect(error { $0.disks[1].file = 4 } == .descriptorUsedTwice(what: "disk 1", index: 4))
    #expect(error({ _ in }, descriptors: 289) == .tooMany("descriptors", most: 288))
  }
}
