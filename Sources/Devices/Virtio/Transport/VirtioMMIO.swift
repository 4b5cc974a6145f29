package import GuestMemory

/// The memory-mapped transport, version 2 (virtio 1.3 §4.2): the registers of one virtio device.
///
/// What a driver does out of order is refused as a ``BusFault``, which the bus reports, and changes
/// nothing. No register access blocks, but for those that start, stop or reset the device.
package final class VirtioMMIO: MMIODevice {
  /// Bytes of a slot in the address map of a `virt` board, and in its device tree's `reg`.
  package let registerSpace: UInt64 = 0x1000
  /// The device tree's `compatible` of every such slot.
  package static let compatible = "virtio,mmio"

  package var name: String { device.name }
  package var device: any VirtioDevice { core.device }
  private let core: TransportCore

  /// `report` gets a line when the device breaks; the caller limits its rate.
  package init(
    device: any VirtioDevice, memory: GuestMemory, interrupt: InterruptLine,
    report: @escaping @Sendable (String) -> Void
  ) {
    core = TransportCore(device: device, memory: memory, interrupts: interrupt, report: report)
  }

  package func reset() { core.reset() }
  package func stop() { core.stop() }

  // MARK: - Registers

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    if offset >= Register.configuration {
      guard let value = device.configuration.load(at: Int(offset - Register.configuration), width: width)
      else { throw .noRegister }
      return value
    }
    guard width == 4, offset % 4 == 0 else { throw .badWidth }
    return UInt64(try read(register: offset))
  }

  private func read(register: UInt64) throws(BusFault) -> UInt32 {
    switch register {
    case Register.magicValue: return 0x7472_6976  // "virt"
    case Register.version: return 2
    case Register.deviceID: return device.deviceID.rawValue
    case Register.vendorID: return 0x5941_4C56  // "VLAY"
    case Register.deviceFeatures: return core.offeredFeatures(word: core.access { $0.deviceFeaturesSelect })
    case Register.queueSizeMax:
      let select = core.access { Int($0.queueSelect) }
      return select < core.queueMaximums.count ? UInt32(core.queueMaximums[select]) : 0
    case Register.queueReady: return core.access { $0.selectedQueue?.isReady == true ? 1 : 0 }
    case Register.interruptStatus: return core.access { $0.interruptStatus }
    case Register.status: return core.access { $0.status.rawValue }
    case Register.sharedMemoryLengthLow, Register.sharedMemoryLengthHigh,
      Register.sharedMemoryBaseLow, Register.sharedMemoryBaseHigh:
      return .max  // No device here has shared memory, and a length of -1 says so.
    case Register.configurationGeneration: return device.configuration.generation
    default: throw Register.writable.contains(register) ? .forbidden : .noRegister
    }
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    if offset >= Register.configuration {
      let offset = Int(offset - Register.configuration)
      return try device.writeConfiguration(offset: offset, width: width, value: value)
    }
    guard width == 4, offset % 4 == 0 else { throw .badWidth }
    try write(register: offset, value: UInt32(truncatingIfNeeded: value))
  }

  private func write(register: UInt64, value: UInt32) throws(BusFault) {
    switch register {
    case Register.queueNotify: try core.notify(queue: Int(value))
    case Register.status: try core.writeStatus(DeviceStatus(rawValue: value))
    case Register.queueReady: try core.writeQueueReady(value)
    case Register.interruptACK: core.acknowledge(value)
    default:
      try core.access { state throws(BusFault) in try state.write(register: register, value: value) }
    }
  }
}

extension TransportState {
  /// Takes a write to a register that only stores.
  fileprivate mutating func write(register: UInt64, value: UInt32) throws(BusFault) {
    typealias Register = VirtioMMIO.Register
    switch register {
    case Register.deviceFeaturesSelect: deviceFeaturesSelect = value
    case Register.driverFeaturesSelect: driverFeaturesSelect = value
    case Register.driverFeatures: try writeDriverFeatures(value)
    case Register.queueSelect: queueSelect = value
    case Register.queueSize: try configureQueue { $0.size = value }
    case Register.queueDescriptorLow: try configureQueue { $0.descriptorTable.setLow(value) }
    case Register.queueDescriptorHigh: try configureQueue { $0.descriptorTable.setHigh(value) }
    case Register.queueDriverLow: try configureQueue { $0.availableRing.setLow(value) }
    case Register.queueDriverHigh: try configureQueue { $0.availableRing.setHigh(value) }
    case Register.queueDeviceLow: try configureQueue { $0.usedRing.setLow(value) }
    case Register.queueDeviceHigh: try configureQueue { $0.usedRing.setHigh(value) }
    case Register.sharedMemorySelect: break  // Every region is absent, whichever is selected.
    default: throw Register.readable.contains(register) ? .forbidden : .noRegister
    }
  }
}

// MARK: - State

extension VirtioMMIO: StatefulDevice {
  package static let stateKind = "virtio,mmio"
  package static let stateVersion = 1

  /// The registers. Take it while the device rests, and set it after memory is what it was.
  package var state: TransportState {
    get { core.snapshot }
    set { core.restore(newValue) }
  }
}
