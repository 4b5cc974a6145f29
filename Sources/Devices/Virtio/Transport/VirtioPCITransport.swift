package import GuestMemory

/// The PCI transport without a legacy interface (virtio 1.3 §4.1): a virtio device as a PCI function.
///
/// All structures are in one 64-bit range of addresses. A driver is interrupted by a message for each
/// queue and one for the configuration, or by INTx if it does not enable messages or the board has none.
/// What a driver does out of order is refused as a ``BusFault`` and changes nothing.
package final class VirtioPCITransport: PCIFunction {
  /// The base address register of the range with all structures.
  static let range = 0
  /// Bytes from the notification address of a queue to the next queue's.
  static let notifyMultiplier: UInt32 = 4

  package var name: String { core.device.name }
  package var device: any VirtioDevice { core.device }
  package let interface: PCIInterface
  private let core: TransportCore
  private let notifyMoved: @Sendable () -> Void
  private let messagesMoved: @Sendable () -> Void
  /// Where the configuration access capability is.
  private let accessCapability: Int

  /// `messages` is where MSI-X goes; nil for a board that has none. `report` gets a line when the device
  /// breaks; the caller limits its rate. `notifyMoved` is called, from any thread, when
  /// ``notifyAddress(ofQueue:)`` or ``doorbellAddress(ofQueue:)`` may have changed, and `messagesMoved` when
  /// ``message(ofQueue:)`` may have.
  package init(
    device: any VirtioDevice, memory: GuestMemory, interrupt: InterruptLine, messages: (any MSISink)?,
    report: @escaping @Sendable (String) -> Void, notifyMoved: @escaping @Sendable () -> Void = {},
    messagesMoved: @escaping @Sendable () -> Void = {}
  ) {
    var description = PCIInterface.Description(device.deviceID.pciIdentity)
    description.ranges = [PCIBaseAddress(index: Self.range, kind: .memory64, size: Region.size)]
    description.interrupt = interrupt
    description.isExpress = true
    description.rangesChanged = notifyMoved
    description.messagesChanged = messagesMoved
    self.notifyMoved = notifyMoved
    self.messagesMoved = messagesMoved
    if let messages {
      let placement = MSIXTable.Placement(
        range: Self.range, table: UInt32(Region.messageTable), pending: UInt32(Region.messagePending))
      // One for each queue, and one for the configuration.
      description.messages = (device.queueMaximums.count + 1, placement, messages)
    }
    var accessCapability = 0
    interface = PCIInterface(description) { accessCapability = Self.addCapabilities(of: device, to: &$0) }
    self.accessCapability = accessCapability
    core = TransportCore(device: device, memory: memory, interrupts: interface, report: report)
  }

  package func reset() {
    core.reset()
    interface.reset()
  }

  package func stop() { core.stop() }

  /// How many queues the device has, whether in use or not.
  package var queueCount: Int { core.queueMaximums.count }

  /// Where the driver writes to notify a queue; nil while the function does not decode memory. The value
  /// written says nothing that the address does not.
  package func notifyAddress(ofQueue queue: Int) -> UInt64? {
    guard core.queueMaximums.indices.contains(queue), let base = interface.address(ofRange: Self.range)
    else { return nil }
    return base + Region.notify + UInt64(queue) * UInt64(Self.notifyMultiplier)
  }

  /// As ``notifyAddress(ofQueue:)``, of a queue that the device works on, and nil for the others: where a host that
  /// sees such writes in our place (ioeventfd) may signal the device's doorbell.
  package func doorbellAddress(ofQueue queue: Int) -> UInt64? {
    core.isLive(queue: queue) ? notifyAddress(ofQueue: queue) : nil
  }

  /// The message that says of a queue that the device works on that its buffers were used; nil while there is none, or
  /// it is held back. For a host that sends it in our place (irqfd).
  package func message(ofQueue queue: Int) -> MSIMessage? {
    guard core.isLive(queue: queue) else { return nil }
    let vector = core.access { $0.queueVectors[queue] }
    return vector == TransportState.noVector ? nil : interface.message(ofVector: Int(vector))
  }

  // MARK: - Configuration space

  /// Adds the capabilities by which a driver finds the structures. Returns where the last of them is, by
  /// which the structures can be reached without the range.
  private static func addCapabilities(
    of device: any VirtioDevice, to space: inout PCIConfigurationSpace
  ) -> Int {
    let queues = UInt32(device.queueMaximums.count)
    add(Structure.common, at: Region.common, size: UInt32(Register.byteCount), to: &space)
    let notify = add(
      Structure.notify, at: Region.notify, size: notifyMultiplier * queues, to: &space,
      byteCount: Capability.longByteCount)
    space.define(notifyMultiplier, at: notify + Capability.notifyMultiplier)
    add(Structure.interruptStatus, at: Region.interruptStatus, size: 1, to: &space)
    let size = device.configuration.size
    if size > 0 { add(Structure.device, at: Region.device, size: UInt32(size), to: &space) }
    let access = add(
      Structure.configurationAccess, at: 0, size: 0, to: &space, byteCount: Capability.longByteCount)
    space.define(UInt8(0), at: access + Capability.range, writable: 0xFF)
    for field in [Capability.offset, Capability.size, Capability.data] {
      space.define(UInt32(0), at: access + field, writable: .max)
    }
    return access
  }

  @discardableResult
  private static func add(
    _ structure: UInt8, at offset: UInt64, size: UInt32, to space: inout PCIConfigurationSpace,
    byteCount: Int = Capability.byteCount
  ) -> Int {
    let place = space.addCapability(PCIConfigurationSpace.CapabilityID.vendorSpecific, size: byteCount)
    space.define(UInt8(byteCount), at: place + Capability.length)
    space.define(structure, at: place + Capability.structure)
    space.define(UInt8(range), at: place + Capability.range)
    space.define(UInt32(offset), at: place + Capability.offset)
    space.define(size, at: place + Capability.size)
    return place
  }

  package func readConfiguration(offset: Int, width: Int) -> UInt32 {
    if isAccessData(offset, width) { readThroughConfiguration() }
    return interface.read(offset: offset, width: width)
  }

  package func writeConfiguration(offset: Int, width: Int, value: UInt32) {
    let effects = interface.write(offset: offset, width: width, value: value)
    if effects.contains(.functionReset) { return reset() }
    if effects.contains(.busMasterCleared) { core.halt("the driver took its right to access memory") }
    if isAccessData(offset, width) { writeThroughConfiguration() }
  }

  // MARK: - Access through the configuration space (§4.1.4.9)

  private func isAccessData(_ offset: Int, _ width: Int) -> Bool {
    let data = accessCapability + Capability.data
    return offset < data + 4 && offset + width > data
  }

  /// What the capability's fields select; nil if it is nothing that can be accessed.
  private func selectedAccess() -> (range: Int, offset: UInt64, width: Int)? {
    let range = interface.read(offset: accessCapability + Capability.range, width: 1)
    let offset = interface.read(offset: accessCapability + Capability.offset, width: 4)
    let width = interface.read(offset: accessCapability + Capability.size, width: 4)
    guard [1, 2, 4].contains(width), offset % width == 0 else { return nil }
    return (Int(range), UInt64(offset), Int(width))
  }

  private func readThroughConfiguration() {
    guard let (range, offset, width) = selectedAccess() else { return }
    let value = (try? read(range: range, offset: offset, width: width)) ?? .max
    interface.store(UInt32(truncatingIfNeeded: value), at: accessCapability + Capability.data)
  }

  private func writeThroughConfiguration() {
    guard let (range, offset, width) = selectedAccess() else { return }
    let value = interface.read(offset: accessCapability + Capability.data, width: width)
    // There is nobody to tell of what is refused.
    try? write(range: range, offset: offset, width: width, value: UInt64(value))
  }

  // MARK: - The range

  package func read(range: Int, offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    guard range == Self.range else { throw .noRegister }
    let place = offset % Region.pageSize
    switch offset - place {
    case Region.common:
      guard let size = Register.width(at: place) else { throw .noRegister }
      guard width == size else { throw .badWidth }
      return UInt64(try read(register: place))
    case Region.interruptStatus:
      guard place == 0 else { throw .noRegister }
      guard width == 1 else { throw .badWidth }
      return UInt64(core.takeInterruptStatus())
    case Region.device:
      guard let value = device.configuration.load(at: Int(place), width: width) else { throw .noRegister }
      return value
    case Region.notify: throw .forbidden
    case Region.messageTable, Region.messagePending:
      return try interface.readMessages(offset: offset, width: width)
    default: throw .noRegister
    }
  }

  package func write(range: Int, offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    guard range == Self.range else { throw .noRegister }
    let value = value & .max >> UInt64(64 - 8 * width)
    let place = offset % Region.pageSize
    switch offset - place {
    case Region.common:
      guard let size = Register.width(at: place) else { throw .noRegister }
      guard width == size else { throw .badWidth }
      try write(register: place, value: UInt32(truncatingIfNeeded: value))
    case Region.device:
      try device.writeConfiguration(offset: Int(place), width: width, value: value)
    case Region.notify:
      guard width == 2 || width == 4, place % UInt64(Self.notifyMultiplier) == 0 else { throw .badWidth }
      try core.notify(queue: Int(place / UInt64(Self.notifyMultiplier)))
    case Region.messageTable, Region.messagePending:
      try interface.writeMessages(offset: offset, width: width, value: value)
    case Region.interruptStatus: throw .forbidden
    default: throw .noRegister
    }
  }

  // MARK: - The common configuration

  private func read(register: UInt64) throws(BusFault) -> UInt32 {
    switch register {
    case Register.deviceFeature: return core.offeredFeatures(word: core.access { $0.deviceFeaturesSelect })
    case Register.queueCount: return UInt32(core.queueMaximums.count)
    case Register.configurationGeneration: return device.configuration.generation & 0xFF
    default: return try core.access { state throws(BusFault) in try state.read(register: register) }
    }
  }

  private func write(register: UInt64, value: UInt32) throws(BusFault) {
    switch register {
    case Register.deviceStatus:
      defer {
        notifyMoved()
        messagesMoved()
      }
      try core.writeStatus(DeviceStatus(rawValue: value))
    case Register.queueEnable:
      // A queue that is enabled stays so until a reset (§4.1.4.3.2).
      guard value == 1 else { throw .forbidden }
      try core.writeQueueReady(value)
    default:
      let count = interface.messageCount
      try core.access { state throws(BusFault) in
        try state.write(register: register, value: value, messageCount: count)
      }
      if register == Register.queueVector { messagesMoved() }
    }
  }
}

extension TransportState {
  fileprivate func read(register: UInt64) throws(BusFault) -> UInt32 {
    typealias Register = VirtioPCITransport.Register
    switch register {
    case Register.deviceFeatureSelect: return deviceFeaturesSelect
    case Register.driverFeatureSelect: return driverFeaturesSelect
    case Register.driverFeature:
      let word = UInt64(driverFeaturesSelect)
      return word < 2 ? UInt32(truncatingIfNeeded: driverFeatures >> (32 * word)) : 0
    case Register.configurationVector: return UInt32(configurationVector)
    case Register.deviceStatus: return status.rawValue
    case Register.queueSelect: return queueSelect
    // The feature that these two belong to is not offered.
    case Register.queueNotifyData, Register.queueReset: return 0
    default: break
    }
    // A queue that does not exist has no size, and all else of it is of no meaning.
    guard let queue = selectedQueue else {
      return register == Register.queueVector ? UInt32(Self.noVector) : 0
    }
    switch register {
    case Register.queueSize: return queue.size
    case Register.queueVector: return UInt32(queueVectors[Int(queueSelect)])
    case Register.queueEnable: return queue.isReady ? 1 : 0
    case Register.queueNotifyOffset: return queueSelect
    case Register.queueDescriptorLow: return UInt32(truncatingIfNeeded: queue.descriptorTable)
    case Register.queueDescriptorHigh: return UInt32(truncatingIfNeeded: queue.descriptorTable >> 32)
    case Register.queueDriverLow: return UInt32(truncatingIfNeeded: queue.availableRing)
    case Register.queueDriverHigh: return UInt32(truncatingIfNeeded: queue.availableRing >> 32)
    case Register.queueDeviceLow: return UInt32(truncatingIfNeeded: queue.usedRing)
    case Register.queueDeviceHigh: return UInt32(truncatingIfNeeded: queue.usedRing >> 32)
    default: throw .noRegister
    }
  }

  /// Takes a write to a register that only stores.
  fileprivate mutating func write(
    register: UInt64, value: UInt32, messageCount: Int
  ) throws(BusFault) {
    typealias Register = VirtioPCITransport.Register
    switch register {
    case Register.deviceFeatureSelect: deviceFeaturesSelect = value
    case Register.driverFeatureSelect: driverFeaturesSelect = value
    case Register.driverFeature: try writeDriverFeatures(value)
    case Register.configurationVector: configurationVector = Self.vector(value, messageCount)
    case Register.queueSelect: queueSelect = value
    case Register.queueSize: try configureQueue { $0.size = value }
    case Register.queueVector:
      guard selectedQueue != nil else { throw .forbidden }
      queueVectors[Int(queueSelect)] = Self.vector(value, messageCount)
    case Register.queueDescriptorLow: try configureQueue { $0.descriptorTable.setLow(value) }
    case Register.queueDescriptorHigh: try configureQueue { $0.descriptorTable.setHigh(value) }
    case Register.queueDriverLow: try configureQueue { $0.availableRing.setLow(value) }
    case Register.queueDriverHigh: try configureQueue { $0.availableRing.setHigh(value) }
    case Register.queueDeviceLow: try configureQueue { $0.usedRing.setLow(value) }
    case Register.queueDeviceHigh: try configureQueue { $0.usedRing.setHigh(value) }
    default: throw .forbidden
    }
  }

  /// The vector a driver gets when it asks for one: none, which it reads back, if it cannot have that
  /// (§4.1.5.1.2.1).
  private static func vector(_ value: UInt32, _ count: Int) -> UInt16 {
    value < UInt32(count) ? UInt16(truncatingIfNeeded: value) : noVector
  }
}

// MARK: - State

extension VirtioPCITransport: StatefulDevice {
  package static let stateKind = "virtio-pci"
  package static let stateVersion = 1

  package struct State: Codable, Equatable, Sendable {
    package var interface: PCIInterface.State
    package var registers: TransportState
  }

  /// The registers. Take it while the device rests, and set it after memory is what it was.
  package var state: State {
    get { State(interface: interface.state, registers: core.snapshot) }
    set {
      interface.state = newValue.interface
      var registers = newValue.registers
      let count = interface.messageCount
      func fitted(_ vector: UInt16) -> UInt16 { Int(vector) < count ? vector : TransportState.noVector }
      registers.configurationVector = fitted(registers.configurationVector)
      registers.queueVectors = registers.queueVectors.map(fitted)
      core.restore(registers)
      notifyMoved()
      messagesMoved()
    }
  }
}
