package import GuestMemory
internal import HostSystem
internal import Synchronization

/// The memory-mapped transport, version 2 (virtio 1.3 §4.2): the registers of one virtio device.
///
/// What a driver does out of order is refused as a ``BusFault``, which the bus reports, and changes
/// nothing. No register access blocks, but for those that start, stop or reset the device.
package final class VirtioMMIO: MMIODevice, VirtioTransport {
  /// Bytes of a slot in the address map of a `virt` board, and in its device tree's `reg`.
  package let registerSpace: UInt64 = 0x1000
  /// The device tree's `compatible` of every such slot.
  package static let compatible = "virtio,mmio"

  package var name: String { device.name }
  package let device: any VirtioDevice

  private let memory: GuestMemory
  private let interrupt: InterruptLine
  private let log: @Sendable (String) -> Void
  private let offered: VirtioFeatures
  private let queueMaximums: [UInt16]
  private let state: Mutex<TransportState>
  /// Serializes what starts, stops and resets the device; taken before ``state``, never within it.
  private let lifecycle = Mutex(())
  /// Whether the device works on its queues, for notifications, which take no lock.
  private let isLive = Atomic(false)

  /// `report` gets a line when the device breaks; the caller limits its rate.
  package init(
    device: any VirtioDevice, memory: GuestMemory, interrupt: InterruptLine,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.device = device
    self.memory = memory
    self.interrupt = interrupt
    log = report
    offered = device.features.union(.ofQueues)
    queueMaximums = device.queueMaximums
    precondition(queueMaximums.count <= 64)
    state = Mutex(TransportState(queueMaximums: queueMaximums))
  }

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
    case Register.deviceFeatures:
      let select = state.withLock { $0.deviceFeaturesSelect }
      return select < 2 ? UInt32(truncatingIfNeeded: offered.rawValue >> UInt64(32 * select)) : 0
    case Register.queueSizeMax:
      let select = state.withLock { Int($0.queueSelect) }
      return select < queueMaximums.count ? UInt32(queueMaximums[select]) : 0
    case Register.queueReady: return state.withLock { $0.selectedQueue?.isReady == true ? 1 : 0 }
    case Register.interruptStatus: return state.withLock { $0.interruptStatus }
    case Register.status: return state.withLock { $0.status.rawValue }
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
    case Register.queueNotify:
      guard value < UInt32(queueMaximums.count) else { throw .forbidden }
      if isLive.load(ordering: .acquiring) { return device.notify(queue: Int(value)) }
      try state.withLock { state throws(BusFault) in
        guard state.status.contains(.featuresOK), !state.status.contains(.driverOK) else { throw .forbidden }
        state.earlyNotifications |= 1 << UInt64(value)
      }
    case Register.status: try writeStatus(DeviceStatus(rawValue: value))
    case Register.queueReady: try writeQueueReady(value)
    case Register.interruptACK:
      state.withLock { state in
        state.interruptStatus &= ~value
        interrupt.setLevel(state.interruptStatus != 0)
      }
    default:
      try state.withLock { state throws(BusFault) in try state.write(register: register, value: value) }
    }
  }

  // MARK: - Status

  private func writeStatus(_ wanted: DeviceStatus) throws(BusFault) {
    if wanted.isEmpty { return reset() }
    let failed: BusFault? = lifecycle.withLock { _ in
      let step = state.withLock { $0.advance(to: wanted, offered: offered, accepts: device.accepts) }
      switch step {
      case .done: return nil
      case .refused: return .forbidden
      case .activate(let configurations, let features):
        activate(configurations, features)
        return nil
      }
    }
    if let failed { throw failed }
  }

  private func activate(_ configurations: [QueueConfiguration], _ features: VirtioFeatures) {
    var queues: [LiveQueue?] = []
    for (index, configuration) in configurations.enumerated() {
      guard configuration.isReady else {
        queues.append(nil)
        continue
      }
      do {
        queues.append(
          try configuration.activate(
            index: index, maximum: queueMaximums[index], features: features, memory: memory))
      } catch {
        return needsReset("queue \(index): \(error)")
      }
    }
    do {
      // Live first: the device may break at once, and then it is not.
      isLive.store(true, ordering: .releasing)
      try device.activate(VirtioActivation(queues: queues, features: features, transport: self))
      let early = state.withLock { $0.earlyNotifications }
      for index in queues.indices where early & (1 << UInt64(index)) != 0 { device.notify(queue: index) }
    } catch {
      needsReset("cannot start: \(error)")
    }
  }

  private func writeQueueReady(_ value: UInt32) throws(BusFault) {
    let failed: BusFault? = lifecycle.withLock { _ in
      switch state.withLock({ $0.setSelectedQueueReady(value) }) {
      case .refused: return .forbidden
      case .done: return nil
      case .stop(let queue):
        device.stop(queue: queue)
        return nil
      }
    }
    if let failed { throw failed }
  }

  package func reset() {
    lifecycle.withLock { _ in
      isLive.store(false, ordering: .releasing)
      // Without the state's lock: the device's worker may need it to finish what is in flight.
      device.reset()
      state.withLock { state in
        state = TransportState(queueMaximums: queueMaximums)
        interrupt.setLevel(false)
      }
    }
  }

  package func stop() {
    lifecycle.withLock { _ in
      isLive.store(false, ordering: .releasing)
      device.stop()
    }
  }

  // MARK: - For the device

  package func raiseUsedBuffer() { raise(InterruptStatus.usedBuffer) }

  package func raiseConfigurationChange() {
    raise(InterruptStatus.configurationChange, onlyAfter: .driverOK)
  }

  private func raise(_ bit: UInt32, onlyAfter status: DeviceStatus = []) {
    state.withLock { state in
      guard state.status.isSuperset(of: status) else { return }
      state.interruptStatus |= bit
      interrupt.setLevel(true)
    }
  }

  package func needsReset(_ reason: String) {
    isLive.store(false, ordering: .releasing)
    let isFirst = state.withLock { state in
      guard !state.status.contains(.needsReset) else { return false }
      state.status.insert(.needsReset)
      if state.status.contains(.driverOK) {
        state.interruptStatus |= InterruptStatus.configurationChange
        interrupt.setLevel(true)
      }
      return true
    }
    if isFirst { report("needs a reset: \(reason)") }
  }

  package func report(_ line: String) { log("\(name): \(line)") }
}
