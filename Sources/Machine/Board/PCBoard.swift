package import Devices
package import GuestMemory
package import HostSystem
package import KVM

/// The x86-64 `pc` board: CPUs and RAM of KVM's, an I/O APIC, a serial port, a clock, ACPI's registers, and virtio
/// devices on a PCI Express bus.
///
/// KVM plays the local APICs; everything else is here. Devices on the bus send their interrupts to the local APICs as
/// messages (MSI-X), and the I/O APIC turns the wires of the others into messages of the same kind.
package final class PCBoard: Sendable {
  package let machine: KVMMachine
  package let ioAPIC: IOAPIC
  package let serial: UART16550
  package let clock: CMOSClock
  package let power: ACPIPowerManagement
  package let panic: PanicDevice
  package let pci: PCIHostBridge
  /// Devices that ACPI's tables do not describe.
  let unlisted: [any Device]
  /// Those that they do.
  let described: Described
  let bus: PCBus
  /// What the CPUs reach through the bus.
  package var cpuBus: any KVMBus { bus }
  let connections: BoardConnections
  /// What starts the board unless a guest is put in its memory.
  let firmware: PCFirmware?

  package let dirtyLog: DirtyLog
  /// By which guests know machines apart.
  let generation = GenerationCounter()

  package var memory: GuestMemory { machine.memory }

  /// Builds a board around a virtual machine whose memory lies as ``PCMap/ram(size:lowEnd:)`` says; `wallClock` nil
  /// stands for the host's. With `firmware` it has what that looks for beside. `dirtyPageSources` are those that write
  /// memory in devices' place. Throws `Errno` when the host refuses a clock.
  package init(
    _ machine: KVMMachine, connections: BoardConnections = BoardConnections(), wallClock: WallClock? = nil,
    firmware: PCFirmware? = nil, virtioDevices: [any VirtioDevice] = [],
    dirtyPageSources: [any DirtyPageSource] = []
  ) throws(Errno) {
    self.machine = machine
    self.connections = connections
    self.firmware = firmware
    dirtyLog = DirtyLog(machine.memory, sources: [machine] + dirtyPageSources)
    let report = connections.report
    let messages = KVMMessages(machine, report: report)
    let ioAPIC = IOAPIC(messages: messages) { messages.setRoute(ofInput: $0, $1) }
    self.ioAPIC = ioAPIC
    let line = { (input: Int) in InterruptLine(sink: ioAPIC, input: input) }

    serial = UART16550(
      interrupt: line(PCMap.Interrupt.serial), output: connections.serialOutput,
      hasRoom: connections.serialHasRoom)
    let outside = if let wallClock { wallClock } else { try WallClock.host() }
    clock = CMOSClock(
      interrupt: line(PCMap.Interrupt.clock), clock: outside.now, scheduler: outside.alarms)
    power = ACPIPowerManagement(
      interrupt: line(PCMap.Interrupt.events), clock: monotonicNanoseconds, request: connections.power)
    panic = PanicDevice { events in
      if events.contains(.panicked) { connections.crashed() }
    }
    // Drivers that want no messages get the four wires.
    let expansion = firmware == nil ? Self.expansion(machine) : Self.expansionForFirmware(machine)
    pci = PCIHostBridge(
      map: expansion.map, identity: expansion.identity, others: expansion.others,
      wire: { line(PCMap.Interrupt.pci + $0) }, devices: virtioDevices
    ) { device, interrupt in
      let doorbells = VirtioDoorbells(machine, report: report)
      let interrupts = VirtioInterrupts(machine, report: report)
      let transport = VirtioPCITransport(
        device: device, memory: machine.memory, interrupt: interrupt, messages: messages, report: report,
        notifyMoved: { doorbells.move() }, messagesMoved: { interrupts.move() })
      doorbells.connect(to: transport)
      interrupts.connect(to: transport)
      return transport
    }

    let resetControl = ResetControlPort(request: connections.power)
    let keyboard = KeyboardResetPort(request: connections.power)
    let progress = POSTCodePort()
    let debug = DebugPort(output: connections.serialOutput)
    let described = Described(
      processors: machine.processors.count, power: power, pci: pci, serial: serial, clock: clock,
      panic: panic, generation: generation)
    self.described = described
    var unlisted: [any Device] = [resetControl, keyboard, progress, debug]
    var ports: [PortBus.Mapping] = []
    var registers: [MMIOBus.Mapping] = []
    if let firmware {
      let configuration = Self.configuration(for: machine, described)
      let flash = Self.flash(firmware, machine, report: report)
      unlisted += [configuration, flash] as [any Device]
      ports.append(PortBus.Mapping(base: FirmwareConfiguration.base, device: configuration))
      registers.append(MMIOBus.Mapping(base: firmware.variablesAddress, device: flash))
    }
    self.unlisted = unlisted
    bus = Self.bus(
      ports: ports + [
        PortBus.Mapping(base: PCMap.Port.serial, device: serial),
        PortBus.Mapping(base: CMOSClock.base, device: clock),
        PortBus.Mapping(base: PCMap.Port.sleepControl, device: power),
        PortBus.Mapping(base: PanicDevice.base, device: panic),
        PortBus.Mapping(base: KeyboardResetPort.base, device: keyboard),
        PortBus.Mapping(base: POSTCodePort.base, device: progress),
        PortBus.Mapping(base: DebugPort.base, device: debug),
        pci.portMapping(resetControl: resetControl),
      ],
      memory: [MMIOBus.Mapping(base: PCMap.ioAPIC, device: ioAPIC)]
        + pci.mappings(buses: PCMap.pciBuses) + registers,
      ioAPIC, report: report)
  }

  /// How devices are added to a board: the bridge, where its bus is, and functions that are there beside devices'.
  struct Expansion {
    var map: PCIHostBridge.AddressMap
    var identity = PCIHostBridge.genericIdentity
    var others: [(address: PCIAddress, function: any PCIFunction)] = []
  }

  private static func expansion(_ machine: KVMMachine) -> Expansion {
    Expansion(
      map: PCIHostBridge.map(
        ecam: PCMap.pciConfiguration, memory32: PCMap.pciMemory32, ram: machine.memory))
  }

  private static func bus(
    ports: [PortBus.Mapping], memory: [MMIOBus.Mapping], _ ioAPIC: IOAPIC,
    report: @escaping @Sendable (String) -> Void
  ) -> PCBus {
    do {
      return PCBus(
        ports: try PortBus(ports, report: report), memory: try MMIOBus(memory, report: report), ioAPIC: ioAPIC
      )
    } catch {
      preconditionFailure("the board's map overlaps: \(error)")
    }
  }

  private var devices: [any Device] { [ioAPIC, serial, clock, power, panic, pci] + unlisted }

  /// Brings the devices to where they are after power-on.
  package func resetDevices() {
    for device in devices { device.reset() }
  }

  /// Ends the devices' workers.
  package func stopDevices() {
    for device in devices { device.stop() }
  }
}
