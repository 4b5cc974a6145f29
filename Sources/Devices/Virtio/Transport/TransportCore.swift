internal import GuestMemory
internal import HostSystem
internal import Synchronization

/// What all transports do alike behind their registers: agrees on features with a driver, starts, stops
/// and resets the device, and has the driver interrupted.
///
/// What a driver does out of order is refused as a ``BusFault`` and changes nothing. Nothing blocks, but
/// for what starts, stops or resets the device.
final class TransportCore: VirtioTransport {
  let device: any VirtioDevice
  let offered: VirtioFeatures
  let queueMaximums: [UInt16]

  private let memory: GuestMemory
  private let interrupts: any TransportInterrupts
  private let log: @Sendable (String) -> Void
  private let state: Mutex<TransportState>
  /// Serializes what starts, stops and resets the device; taken before ``state``, never within it.
  private let lifecycle = Mutex(())
  /// Whether the device works on its queues, for notifications, which take no lock.
  private let isLive = Atomic(false)

  /// `report` gets a line when the device breaks; the caller limits its rate.
  init(
    device: any VirtioDevice, memory: GuestMemory, interrupts: any TransportInterrupts,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.device = device
    self.memory = memory
    self.interrupts = interrupts
    log = report
    offered = device.features.union(.ofQueues)
    queueMaximums = device.queueMaximums
    precondition(queueMaximums.count <= 64)
    state = Mutex(TransportState(queueMaximums: queueMaximums))
  }

  // MARK: - Registers

  /// Reads or changes registers that do nothing but store.
  func access<Result: Sendable, Fault>(
    _ body: (inout TransportState) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    try state.withLock { state throws(Fault) in try body(&state) }
  }

  /// A word of what the device and its queues can do.
  func offeredFeatures(word: UInt32) -> UInt32 {
    word < 2 ? UInt32(truncatingIfNeeded: offered.rawValue >> UInt64(32 * word)) : 0
  }

  /// The driver made buffers available in a queue.
  func notify(queue: Int) throws(BusFault) {
    guard queue < queueMaximums.count else { throw .forbidden }
    if isLive.load(ordering: .acquiring) { return device.notify(queue: queue) }
    try state.withLock { state throws(BusFault) in
      guard state.status.contains(.featuresOK), !state.status.contains(.driverOK) else { throw .forbidden }
      state.earlyNotifications |= 1 << UInt64(queue)
    }
  }

  /// Whether the device works on a queue.
  func isLive(queue: Int) -> Bool {
    guard isLive.load(ordering: .acquiring) else { return false }
    return state.withLock { $0.queues.indices.contains(queue) && $0.queues[queue].isReady }
  }

  /// The driver has seen causes of interrupts.
  func acknowledge(_ causes: UInt32) {
    state.withLock { state in
      state.interruptStatus &= ~causes
      interrupts.setPending(state.interruptStatus != 0)
    }
  }

  /// Gives the causes of interrupts to a driver that sees them by that.
  func takeInterruptStatus() -> UInt32 {
    state.withLock { state in
      let causes = state.interruptStatus
      state.interruptStatus = 0
      interrupts.setPending(false)
      return causes
    }
  }

  // MARK: - Status

  func writeStatus(_ wanted: DeviceStatus) throws(BusFault) {
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

  /// Starts the device. Queues go on where the used rings in memory end, if they are not to start anew.
  private func activate(
    _ configurations: [QueueConfiguration], _ features: VirtioFeatures, resuming: Bool = false
  ) {
    var queues: [LiveQueue?] = []
    for (index, configuration) in configurations.enumerated() {
      guard configuration.isReady else {
        queues.append(nil)
        continue
      }
      do {
        queues.append(
          try configuration.activate(
            index: index, maximum: queueMaximums[index], features: features, memory: memory,
            resuming: resuming))
      } catch {
        return needsReset("queue \(index): \(error)")
      }
    }
    do {
      // Live first: the device may break at once, and then it is not.
      isLive.store(true, ordering: .releasing)
      try device.activate(
        VirtioActivation(queues: queues, features: features, transport: self, isResumed: resuming))
      let early = state.withLock { $0.earlyNotifications }
      for index in queues.indices where early & (1 << UInt64(index)) != 0 { device.notify(queue: index) }
    } catch {
      needsReset("cannot start: \(error)")
    }
  }

  func writeQueueReady(_ value: UInt32) throws(BusFault) {
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

  func reset() {
    lifecycle.withLock { _ in
      isLive.store(false, ordering: .releasing)
      // Without the state's lock: the device's worker may need it to finish what is in flight.
      device.reset()
      state.withLock { state in
        state = TransportState(queueMaximums: queueMaximums)
        interrupts.setPending(false)
      }
    }
  }

  func stop() {
    lifecycle.withLock { _ in
      isLive.store(false, ordering: .releasing)
      device.stop()
    }
  }

  /// Has a device that works leave memory alone until the driver resets it.
  func halt(_ reason: String) {
    let wasLive = lifecycle.withLock { _ in
      guard isLive.exchange(false, ordering: .acquiringAndReleasing) else { return false }
      device.reset()
      return true
    }
    if wasLive { needsReset(reason) }
  }

  // MARK: - State

  /// The registers. What the device itself is about is the device's own affair.
  var snapshot: TransportState { state.withLock { $0 } }

  /// Goes on from a snapshot, of which nothing is believed, in a memory that holds what it held then. A
  /// device that worked works again.
  func restore(_ saved: TransportState) {
    lifecycle.withLock { _ in
      isLive.store(false, ordering: .releasing)
      device.reset()
      let state = TransportState(
        saved, queueMaximums: queueMaximums, offered: offered, accepts: device.accepts)
      self.state.withLock {
        $0 = state
        interrupts.setPending(state.interruptStatus != 0)
      }
      guard state.status.contains(.driverOK), !state.status.contains(.needsReset) else { return }
      activate(state.queues, VirtioFeatures(rawValue: state.driverFeatures), resuming: true)
    }
  }

  // MARK: - For the device

  func raiseUsedBuffer(queue: Int) {
    state.withLock { state in
      state.interruptStatus |= TransportState.Interrupt.usedBuffer
      interrupts.setPending(true)
      send(state.queueVectors[queue])
    }
  }

  func raiseConfigurationChange() {
    state.withLock { state in
      guard state.status.contains(.driverOK) else { return }
      signalConfigurationChange(&state)
    }
  }

  private func signalConfigurationChange(_ state: inout TransportState) {
    state.interruptStatus |= TransportState.Interrupt.configurationChange
    interrupts.setPending(true)
    send(state.configurationVector)
  }

  private func send(_ vector: UInt16) {
    if vector != TransportState.noVector { interrupts.send(vector: vector) }
  }

  func needsReset(_ reason: String) {
    isLive.store(false, ordering: .releasing)
    let isFirst = state.withLock { state in
      guard !state.status.contains(.needsReset) else { return false }
      state.status.insert(.needsReset)
      if state.status.contains(.driverOK) { signalConfigurationChange(&state) }
      return true
    }
    if isFirst { report("needs a reset: \(reason)") }
  }

  func report(_ line: String) { log("\(device.name): \(line)") }
}
