/// What the registers of a ``VirtioMMIO`` hold; back to this after a reset.
struct TransportState {
  var status: DeviceStatus = []
  var interruptStatus: UInt32 = 0
  var deviceFeaturesSelect: UInt32 = 0
  var driverFeaturesSelect: UInt32 = 0
  /// What the driver says it uses, until `FEATURES_OK`; then what was agreed on.
  var driverFeatures: UInt64 = 0
  /// The driver asked for a feature beyond the 64 there are.
  var wantsUnknownFeatures = false
  var queueSelect: UInt32 = 0
  var queues: [QueueConfiguration]
  /// Queues that were notified before `DRIVER_OK`, a bit each. Drivers must not (§3.1.1), but Linux's
  /// balloon does; they are looked at as soon as the device lives.
  var earlyNotifications: UInt64 = 0

  init(queueMaximums: [UInt16]) {
    queues = queueMaximums.map { QueueConfiguration(size: UInt32($0)) }
  }

  var selectedQueue: QueueConfiguration? {
    queueSelect < UInt32(queues.count) ? queues[Int(queueSelect)] : nil
  }

  // MARK: - Plain registers

  /// Takes a write to a register that only stores.
  mutating func write(register: UInt64, value: UInt32) throws(BusFault) {
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

  private mutating func writeDriverFeatures(_ value: UInt32) throws(BusFault) {
    // Once agreed on, features are fixed (§3.1.1).
    guard !status.contains(.featuresOK) else { throw .forbidden }
    switch driverFeaturesSelect {
    case 0: driverFeatures.setLow(value)
    case 1: driverFeatures.setHigh(value)
    default: wantsUnknownFeatures = wantsUnknownFeatures || value != 0
    }
  }

  private mutating func configureQueue(_ change: (inout QueueConfiguration) -> Void) throws(BusFault) {
    // A queue that is ready, or could be in use, keeps its geometry (§4.2.2.2).
    guard let queue = selectedQueue, !queue.isReady, !status.contains(.driverOK) else { throw .forbidden }
    change(&queues[Int(queueSelect)])
  }

  // MARK: - Registers that act

  enum QueueStep {
    case done, refused
    /// The device must leave a live queue alone.
    case stop(queue: Int)
  }

  mutating func setSelectedQueueReady(_ value: UInt32) -> QueueStep {
    guard value < 2, let queue = selectedQueue else { return .refused }
    let index = Int(queueSelect)
    if value == 0 {
      queues[index].isReady = false
      return queue.isReady && status.contains(.driverOK) ? .stop(queue: index) : .done
    }
    guard status.contains(.featuresOK), !status.contains(.driverOK) else { return .refused }
    queues[index].isReady = true
    return .done
  }

  enum StatusStep {
    case done, refused
    case activate([QueueConfiguration], VirtioFeatures)
  }

  /// Takes a driver's write of status bits, of which none may go away and none come out of order.
  mutating func advance(
    to wanted: DeviceStatus, offered: VirtioFeatures, accepts: (VirtioFeatures) -> Bool
  ) -> StatusStep {
    var wanted = wanted.subtracting(.needsReset)
    let old = status.subtracting(.needsReset)
    guard wanted.isSubset(of: .driversOwn), wanted.isSuperset(of: old), wanted.isInOrder else {
      return .refused
    }
    var result = StatusStep.done
    if wanted.contains(.featuresOK), !old.contains(.featuresOK) {
      let features = VirtioFeatures(rawValue: driverFeatures)
      if wantsUnknownFeatures || !features.isSubset(of: offered) || !features.contains(.version1)
        || !accepts(features)
      {
        // The driver reads the bit back to learn that its choice will not do.
        wanted.subtract([.featuresOK, .driverOK])
        result = .refused
      }
    }
    if wanted.contains(.driverOK), !old.contains(.driverOK) {
      result = .activate(queues, VirtioFeatures(rawValue: driverFeatures))
    }
    status.formUnion(wanted)
    return result
  }
}

extension UInt64 {
  fileprivate mutating func setLow(_ value: UInt32) { self = self & ~0xFFFF_FFFF | UInt64(value) }
  fileprivate mutating func setHigh(_ value: UInt32) { self = self & 0xFFFF_FFFF | UInt64(value) << 32 }
}
