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
  private let unlisted: [any Device]
  let bus: PCBus
  let connections: BoardConnections

  package var memory: GuestMemory { machine.memory }

  /// Builds a board around a virtual machine whose memory lies as ``PCMap/ram(size:)`` says; `wallClock` nil stands
  /// for the host's. Throws `Errno` when the host refuses a clock.
  package init(
    _ machine: KVMMachine, connections: BoardConnections = BoardConnections(), wallClock: WallClock? = nil,
    virtioDevices: [any VirtioDevice] = []
  ) throws(Errno) {
    self.machine = machine
    self.connections = connections
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
    pci = PCIHostBridge(
      ecam: PCMap.pciConfiguration, memory32: PCMap.pciMemory32, ram: machine.memory,
      wire: { line(PCMap.Interrupt.pci + $0) }, devices: virtioDevices
    ) { device, interrupt in
      let doorbells = VirtioDoorbells(machine, report: report)
      let transport = VirtioPCITransport(
        device: device, memory: machine.memory, interrupt: interrupt, messages: messages, report: report,
        notifyMoved: { doorbells.move() })
      doorbells.connect(to: transport)
      return transport
    }

    let resetControl = ResetControlPort(request: connections.power)
    let keyboard = KeyboardResetPort(request: connections.power)
    let progress = POSTCodePort()
    let debug = DebugPort(output: connections.serialOutput)
    unlisted = [resetControl, keyboard, progress, debug]
    bus = Self.bus(
      ports: [
        PortBus.Mapping(base: PCMap.Port.serial, device: serial),
        PortBus.Mapping(base: CMOSClock.base, device: clock),
        PortBus.Mapping(base: PCMap.Port.sleepControl, device: power),
        PortBus.Mapping(base: PanicDevice.base, device: panic),
        PortBus.Mapping(base: KeyboardResetPort.base, device: keyboard),
        PortBus.Mapping(base: POSTCodePort.base, device: progress),
        PortBus.Mapping(base: DebugPort.base, device: debug),
        pci.portMapping(resetControl: resetControl),
      ],
      memory: [MMIOBus.Mapping(base: PCMap.ioAPIC, device: ioAPIC)] + pci.mappings(buses: PCMap.pciBuses),
      ioAPIC, report: report)
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
  func resetDevices() {
    for device in devices { device.reset() }
  }

  /// Ends the devices' workers.
  package func stopDevices() {
    for device in devices { device.stop() }
  }
}
