package import Devices
package import GuestMemory
package import HostSystem
package import MachineControl
package import RISCV
package import Translator

/// The riscv64 `virt` board: harts, RAM, interrupt controller, serial port, clock, power switch, and
/// virtio devices in slots of their own or on a PCI Express bus.
package final class VirtBoard: Sendable {
  package let memory: GuestMemory
  package let cluster: HartCluster
  package let dirtyLog: DirtyLog
  package let plic: PLIC
  package let serial: UART16550
  package let clock: GoldfishRTC
  package let powerSwitch: SystemController
  /// Transports of the virtio devices in slots, in order.
  package let virtio: [VirtioMMIO]
  /// The bridge to the virtio devices on a PCI Express bus. A board without such has none, so that no guest
  /// looks for them.
  package let pci: PCIHostBridge?

  /// Builds a board; `wallClock` nil stands for the host's. `virtioDevices` gets the memory and makes the
  /// devices that are attached to `virtioBus`. Throws `Errno` when the host refuses memory.
  package init(
    memorySize: UInt64, cpus: Int, code: CodeStore?, clock machineClock: MachineClock = MachineClock(),
    wallClock: WallClock? = nil, countsInstructions: Bool = false,
    connections: BoardConnections = BoardConnections(),
    virtioBus: MachineConfiguration.VirtioBus = .mmio,
    virtioDevices: (GuestMemory) throws(Errno) -> [any VirtioDevice] = { _ in [] }
  ) throws(Errno) {
    memory = try GuestMemory(regions: [(base: VirtMap.memory, size: Int(memorySize))])
    let pins = (0..<cpus).map { _ in HartPin() }
    let plic = PLIC(
      sources: VirtMap.Interrupt.count,
      contexts: pins.enumerated().map { PLIC.Context(hart: $0.offset, pin: $0.element) })
    self.plic = plic
    serial = UART16550(
      interrupt: InterruptLine(sink: plic, input: VirtMap.Interrupt.serial),
      output: connections.serialOutput, hasRoom: connections.serialHasRoom)
    let outside = if let wallClock { wallClock } else { try WallClock.host() }
    clock = GoldfishRTC(
      interrupt: InterruptLine(sink: plic, input: VirtMap.Interrupt.clock), clock: outside.now,
      scheduler: outside.alarms)
    powerSwitch = SystemController(request: connections.power)
    let devices = try virtioDevices(memory)
    let memory = memory
    switch virtioBus {
    case .mmio:
      precondition(devices.count <= VirtMap.virtioSlots)
      virtio = devices.enumerated().map { slot, device in
        VirtioMMIO(
          device: device, memory: memory,
          interrupt: InterruptLine(sink: plic, input: VirtMap.Interrupt.virtio + slot),
          report: connections.report)
      }
      pci = nil
    case .pci:
      virtio = []
      // The PLIC takes no messages, so the bus's four wires interrupt.
      pci = PCIHostBridge(
        map: PCIHostBridge.map(ecam: VirtMap.pciConfiguration, memory32: VirtMap.pciMemory32, ram: memory),
        wire: { InterruptLine(sink: plic, input: VirtMap.Interrupt.pci + $0) }, devices: devices
      ) { device, interrupt in
        VirtioPCITransport(
          device: device, memory: memory, interrupt: interrupt, messages: nil, report: connections.report)
      }
    }

    var mappings = [
      MMIOBus.Mapping(base: VirtMap.systemController, device: powerSwitch),
      MMIOBus.Mapping(base: VirtMap.clock, device: clock),
      MMIOBus.Mapping(base: VirtMap.interruptController, device: plic),
      MMIOBus.Mapping(base: VirtMap.serial, device: serial),
    ]
    for (slot, transport) in virtio.enumerated() {
      mappings.append(
        MMIOBus.Mapping(base: VirtMap.virtio + UInt64(slot) * VirtMap.virtioStride, device: transport))
    }
    if let pci { mappings += pci.mappings(buses: VirtMap.pciBuses) }
    let bus: MMIOBus
    do { bus = try MMIOBus(mappings, report: connections.report) } catch {
      preconditionFailure("the board's map overlaps: \(error)")
    }
    cluster = try HartCluster(
      harts: cpus, memory: memory, bus: bus, clock: machineClock, code: code,
      countsInstructions: countsInstructions)
    dirtyLog = DirtyLog(memory, sources: [cluster])
    for (pin, hart) in zip(pins, cluster.harts) { pin.connect(to: hart) }
  }

  private var devices: [any Device] {
    [plic, serial, clock, powerSwitch] + virtio + [pci].compactMap { $0 }
  }

  /// Power-on: all devices and harts as they start, the first hart about to enter the loaded guest.
  package func reset(entering boot: LinuxLoader.Layout) {
    resetDevices()
    cluster.reset(entry: boot.kernel, argument: boot.deviceTree)
  }

  /// Brings the devices to where they are after power-on.
  package func resetDevices() {
    for device in devices { device.reset() }
  }

  /// Ends the devices' workers.
  package func stopDevices() {
    for device in devices { device.stop() }
  }
}
