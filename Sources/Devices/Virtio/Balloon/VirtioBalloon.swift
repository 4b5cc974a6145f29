package import GuestMemory
package import HostSystem
internal import Synchronization

/// A memory balloon (virtio 1.3 §5.5): pages that the guest lends to the host, and pages that it says
/// it does not use. The host forgets the contents of both.
package final class VirtioBalloon: WorkerDevice {
  /// Byte offsets into the configuration space (§5.5.4).
  private enum Field {
    static let target = 0
    static let actual = 4
    static let size = 8
  }

  /// Bytes of a balloon's page, whatever the guest's own page size.
  package static let pageSize = 4096

  package let name: String
  package let deviceID = VirtioDeviceID.balloon
  package let features: VirtioFeatures = [
    .balloonStatistics, .balloonDeflateOnOOM, .balloonPageReporting,
  ]
  /// Inflate, deflate, statistics, and two numbers under which drivers look for page reporting.
  package let queueMaximums: [UInt16] = [128, 128, 16, 128, 128]
  package let configuration = ConfigurationSpace(size: Field.size)

  let worker: VirtioWorker
  let memory: GuestMemory
  let latestStatistics = Mutex<BalloonStatistics?>(nil)
  let reported = Atomic<UInt64>(0)

  package init(name: String = "virtio-balloon", memory: GuestMemory) throws(Errno) {
    self.name = name
    self.memory = memory
    worker = try VirtioWorker(name: name)
  }

  // MARK: - From the host

  /// Asks the guest to lend so many pages of 4 KiB.
  package func setTarget(pages: UInt32) {
    configuration.store(pages, at: Field.target)
    worker.raiseConfigurationChange()
  }

  /// Pages that the host asked for.
  package var targetPages: UInt32 { configuration.load(at: Field.target) }

  /// Pages that the guest says it has lent.
  package var actualPages: UInt32 { configuration.load(at: Field.actual) }

  /// Bytes that the guest said it does not use, each time it said so.
  package var reportedBytes: UInt64 { reported.load(ordering: .relaxed) }

  /// What the guest told last of its memory.
  package var statistics: BalloonStatistics? { latestStatistics.withLock { $0 } }

  /// Asks the guest for new ``statistics``, which come in its own time.
  package func requestStatistics() { worker.hostChanged() }

  // MARK: - The device

  package func writeConfiguration(offset: Int, width: Int, value: UInt64) throws(BusFault) {
    guard offset == Field.actual, width == 4 else { throw .forbidden }
    configuration.storeFromDriver(value, at: offset, width: width)
  }

  package func reset() {
    worker.end()
    // The guest that lent the pages is gone.
    configuration.storeFromDriver(0, at: Field.actual, width: 4)
    latestStatistics.withLock { $0 = nil }
  }

  func makeSession(_ context: SessionContext) -> any VirtioSession {
    BalloonSession(device: self, context: context)
  }
}

// MARK: - State

extension VirtioBalloon: StatefulVirtioDevice {
  package static let stateKind = "virtio,balloon"
  package static let stateVersion = 1

  package struct State: Codable, Equatable, Sendable {
    package var targetPages: UInt32
    package var actualPages: UInt32
  }

  package var state: State {
    get { State(targetPages: targetPages, actualPages: actualPages) }
    set {
      let most = UInt32(clamping: memory.size / Self.pageSize)
      configuration.store(min(newValue.targetPages, most), at: Field.target)
      configuration.storeFromDriver(UInt64(min(newValue.actualPages, most)), at: Field.actual, width: 4)
    }
  }
}
