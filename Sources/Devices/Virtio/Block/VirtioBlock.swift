package import HostSystem
internal import Synchronization

/// A disk (virtio 1.3 §5.2) of one queue, on whatever keeps its bytes.
package final class VirtioBlock: WorkerDevice {
  /// A request that failed on the host's side; the guest sees an I/O error.
  package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Operation: String, Sendable {
      case read, write, flush, discard, writeZeroes
    }
    package let operation: Operation
    package let errno: Errno
    package var description: String { "\(operation) failed: \(errno)" }
  }

  /// Byte offsets into the configuration space (§5.2.4).
  private enum Field {
    static let capacity = 0
    static let segmentMaximum = 12
    static let blockSize = 20
    static let topologyPhysicalExponent = 24
    static let topologyMinimumIO = 26
    static let topologyOptimalIO = 28
    static let writeback = 32
    static let queueCount = 34
    static let maximumDiscardSectors = 36
    static let maximumDiscardSegments = 40
    static let discardAlignment = 44
    static let maximumZeroSectors = 48
    static let maximumZeroSegments = 52
    static let zeroMayUnmap = 56
    static let size = 60
  }

  /// The most sectors of one range to discard or to zero: 1 GiB.
  static let maximumSegmentSectors: UInt32 = 1 << 21
  /// The most ranges of one request.
  static let maximumSegments: UInt32 = 64

  /// The most requests that are carried out beside each other: more would not make a host's disk faster.
  package static let mostHelpers = 16

  package let name: String
  package let deviceID = VirtioDeviceID.block
  package let features: VirtioFeatures
  package let queueMaximums: [UInt16] = [256]
  package let configuration: ConfigurationSpace

  let worker: VirtioWorker
  let storage: any BlockStorage
  package let serial: String
  let counters = BlockCounters()
  let pace: BlockPace.Policy
  private let wantedRates = Mutex(BlockRates())
  /// How often they changed.
  private let ratesVersion = Atomic<UInt32>(0)
  /// Told of a failure once, until a request of its kind succeeds again or fails otherwise.
  let onFailure: @Sendable (Failure) -> Void
  /// Told when requests wait for room on the host, and when they no longer do; nil where want of room is a failure as
  /// any other.
  let onWant: (@Sendable (_ ofRoom: Bool) -> Void)?
  private let isShort = Atomic(false)

  /// A disk of `storage`'s size in whole sectors. `serial` is what the guest reads as the disk's
  /// identity, 20 bytes of it. One that `writesThrough` has nothing to flush: each write is durable when it is answered,
  /// and the driver has no say in it. `onFailure` and
  /// `onWant` are called on the disk's own thread: with `onWant`, a request for which the host has no room is neither
  /// answered nor lost, but tried again each second.
  package init(
    name: String = "virtio-block", storage: any BlockStorage, serial: String, writesThrough: Bool = false,
    pace: BlockPace.Policy = .measured,
    onWant: (@Sendable (_ ofRoom: Bool) -> Void)? = nil,
    onFailure: @escaping @Sendable (Failure) -> Void = { _ in }
  ) throws(Errno) {
    self.name = name
    self.storage = storage
    self.serial = serial
    self.pace = pace
    self.onFailure = onFailure
    self.onWant = onWant
    worker = try VirtioWorker(name: name)
    var features: VirtioFeatures = [.blockSegmentMaximum, .blockSize, .blockTopology]
    if !writesThrough { features.insert(.blockFlush) }
    if storage.isReadOnly {
      features.insert(.blockReadOnly)
    } else {
      features.formUnion([.blockDiscard, .blockWriteZeroes])
      if !writesThrough { features.insert(.blockCacheMode) }
    }
    self.features = features
    configuration = ConfigurationSpace(size: Field.size)
    configuration.store(storage.size / UInt64(BlockRequest.sectorSize), at: Field.capacity)
    // Two descriptors of a request are its header and its status.
    configuration.store(UInt32(queueMaximums[0]) - 2, at: Field.segmentMaximum)
    configuration.store(UInt32(BlockRequest.sectorSize), at: Field.blockSize)
    // A host's page is the unit that costs no reading before writing.
    configuration.store(UInt8(3), at: Field.topologyPhysicalExponent)
    configuration.store(UInt16(8), at: Field.topologyMinimumIO)
    configuration.store(UInt32(0), at: Field.topologyOptimalIO)
    configuration.store(UInt8(1), at: Field.writeback)
    configuration.store(UInt16(1), at: Field.queueCount)
    configuration.store(Self.maximumSegmentSectors, at: Field.maximumDiscardSectors)
    configuration.store(Self.maximumSegments, at: Field.maximumDiscardSegments)
    configuration.store(UInt32(8), at: Field.discardAlignment)
    configuration.store(Self.maximumSegmentSectors, at: Field.maximumZeroSectors)
    configuration.store(Self.maximumSegments, at: Field.maximumZeroSegments)
    configuration.store(UInt8(1), at: Field.zeroMayUnmap)
  }

  /// What it has done, over all resets.
  package var activity: BlockActivity { counters.activity }

  /// Whether a request waits for room on the host.
  package var waitsForRoom: Bool { isShort.load(ordering: .relaxed) }

  /// Tells of the want of room, where that is news. For the disk's thread.
  func note(wantOfRoom: Bool) {
    guard waitsForRoom != wantOfRoom else { return }
    isShort.store(wantOfRoom, ordering: .relaxed)
    onWant?(wantOfRoom)
  }

  /// What it may move for its driver. A change counts from the next request on.
  package var rates: BlockRates {
    get { wantedRates.withLock { $0 } }
    set {
      wantedRates.withLock { $0 = newValue }
      ratesVersion.wrappingAdd(1, ordering: .releasing)
      worker.hostChanged()
    }
  }

  var ratesChanges: UInt32 { ratesVersion.load(ordering: .acquiring) }

  /// Sectors of 512 bytes.
  var capacity: UInt64 { configuration.load(at: Field.capacity) }

  /// Whether written data may wait for a flush; the driver's choice.
  var isWriteback: Bool { configuration.load(UInt8.self, at: Field.writeback) != 0 }

  /// The byte offset of a run of whole sectors within the disk, or nil when it is none.
  func range(_ sector: UInt64, bytes: Int) -> UInt64? {
    guard bytes > 0, bytes % BlockRequest.sectorSize == 0 else { return nil }
    return range(sector, sectors: UInt64(bytes / BlockRequest.sectorSize))
  }

  func range(_ sector: UInt64, sectors: UInt64) -> UInt64? {
    let capacity = capacity
    guard sector <= capacity, sectors <= capacity - sector else { return nil }
    return sector * UInt64(BlockRequest.sectorSize)
  }

  /// The storage has another size now: tells the driver.
  package func storageResized() {
    configuration.store(storage.size / UInt64(BlockRequest.sectorSize), at: Field.capacity)
    worker.raiseConfigurationChange()
  }

  package func writeConfiguration(offset: Int, width: Int, value: UInt64) throws(BusFault) {
    guard offset == Field.writeback, width == 1, value < 2, features.contains(.blockCacheMode) else {
      throw .forbidden
    }
    configuration.storeFromDriver(value, at: offset, width: width)
  }

  package func reset() {
    worker.end()
    configuration.storeFromDriver(1, at: Field.writeback, width: 1)
  }

  func makeSession(_ context: SessionContext) -> any VirtioSession {
    BlockSession(device: self, context: context)
  }
}

// MARK: - State

extension VirtioBlock: StatefulVirtioDevice {
  package static let stateKind = "virtio,block"
  package static let stateVersion = 1

  package struct State: Codable, Equatable, Sendable {
    /// Whether written data may wait for a flush; the driver's choice.
    package var isWriteback: Bool
  }

  package var state: State {
    get { State(isWriteback: isWriteback) }
    set {
      let isWriteback = newValue.isWriteback || !features.contains(.blockCacheMode)
      configuration.storeFromDriver(isWriteback ? 1 : 0, at: Field.writeback, width: 1)
    }
  }
}
