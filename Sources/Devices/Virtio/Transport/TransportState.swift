/// What the registers of a virtio transport hold, whatever their layout; back to this after a reset.
package struct TransportState: Codable, Equatable, Sendable {
  /// Bits of the interrupt status.
  enum Interrupt {
    static let usedBuffer: UInt32 = 1
    static let configurationChange: UInt32 = 2
  }

  /// A message's number that stands for no message (`VIRTIO_MSI_NO_VECTOR`).
  static let noVector: UInt16 = 0xFFFF

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
  /// The message of a configuration change, where the transport has messages.
  var configurationVector = noVector
  /// The message of each queue.
  var queueVectors: [UInt16]

  init(queueMaximums: [UInt16]) {
    queues = queueMaximums.map { QueueConfiguration(size: UInt32($0)) }
    queueVectors = queueMaximums.map { _ in Self.noVector }
  }

  /// A state from a snapshot. One that no driver could have brought about is the state after a reset.
  init(
    _ other: TransportState, queueMaximums: [UInt16], offered: VirtioFeatures,
    accepts: (VirtioFeatures) -> Bool
  ) {
    self.init(queueMaximums: queueMaximums)
    guard other.queues.count == queues.count, other.queueVectors.count == queues.count,
      other.status.isSubset(of: [.driversOwn, .needsReset]), other.status.isInOrder
    else { return }
    let features = VirtioFeatures(rawValue: other.driverFeatures)
    if other.status.contains(.featuresOK) {
      guard !other.wantsUnknownFeatures, features.isSubset(of: offered), features.contains(.version1),
        accepts(features)
      else { return }
    } else if other.queues.contains(where: \.isReady) {
      return
    }
    self = other
    interruptStatus &= Interrupt.usedBuffer | Interrupt.configurationChange
    if queues.count < 64 { earlyNotifications &= 1 << UInt64(queues.count) - 1 }
  }

  var selectedQueue: QueueConfiguration? {
    queueSelect < UInt32(queues.count) ? queues[Int(queueSelect)] : nil
  }

  // MARK: - Registers that only store

  /// Takes the half of the driver's features that is selected.
  mutating func writeDriverFeatures(_ value: UInt32) throws(BusFault) {
    // Once agreed on, features are fixed (§3.1.1).
    guard !status.contains(.featuresOK) else { throw .forbidden }
    switch driverFeaturesSelect {
    case 0: driverFeatures.setLow(value)
    case 1: driverFeatures.setHigh(value)
    default: wantsUnknownFeatures = wantsUnknownFeatures || value != 0
    }
  }

  /// Changes the geometry of the queue that is selected.
  mutating func configureQueue(_ change: (inout QueueConfiguration) -> Void) throws(BusFault) {
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
  /// Sets bits 0 to 31, as a register that is a half of this number does.
  mutating func setLow(_ value: UInt32) { self = self & ~0xFFFF_FFFF | UInt64(value) }
  /// Sets bits 32 to 63.
  mutating func setHigh(_ value: UInt32) { self = self & 0xFFFF_FFFF | UInt64(value) << 32 }
}
