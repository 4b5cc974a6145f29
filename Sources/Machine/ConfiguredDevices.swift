internal import Devices
internal import GuestMemory
internal import HostSystem
internal import MachineControl

/// The virtio devices that a configuration asks for: the same on every board.
struct ConfiguredDevices {
  /// In the order in which guests find them.
  private(set) var all: [any VirtioDevice] = []
  private(set) var console: VirtioConsole?
  let balloon: VirtioBalloon

  /// `storages` are the configuration's disks, opened. `send` tells the machine's owner.
  init(
    _ configuration: MachineConfiguration, _ descriptors: [Descriptor], storages: [any BlockStorage],
    memory: GuestMemory, send: @escaping @Sendable (ControlEvent) -> Void
  ) throws(Errno) {
    for (disk, storage) in zip(configuration.disks, storages) {
      let failures = FailureLimiter()
      let tell: @Sendable (VirtioBlock.Failure) -> Void = {
        guard failures.passes($0.errno) else { return }
        send(
          .diskFailed(
            disk: disk.serial, operation: $0.operation.rawValue, errorNumber: $0.errno.code))
      }
      all.append(
        try VirtioBlock(
          name: "disk \(disk.serial)", storage: storage, serial: disk.serial, onFailure: tell))
    }
    if let network = configuration.network {
      all.append(try VirtioNet(port: descriptors[network.frames], mac: network.mac))
    }
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
  }
}
