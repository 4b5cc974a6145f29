internal import HostSystem

/// A disk at work: takes requests one after the other and answers each.
final class BlockSession: VirtioSession {
  /// The least time between two interrupts while there is more to do, in nanoseconds.
  private static let interruptSpacing: UInt64 = 100_000

  private let device: VirtioBlock
  private let context: SessionContext
  private var transfer: BlockTransfer
  private var lastSignal: UInt64 = 0
  private var reported: [VirtioBlock.Failure.Operation: Errno] = [:]

  init(device: VirtioBlock, context: SessionContext) {
    self.device = device
    self.context = context
    transfer = BlockTransfer(storage: device.storage)
  }

  func process(queue index: Int) throws(QueueError) {
    guard let queue = context.queue(index) else { return }
    defer { context.signal(queue) }
    repeat {
      queue.suppressNotifications()
      while let chain = try queue.next() {
        carryOut(chain, queue)
        if context.isWanted { return context.reschedule(queue) }
        let now = monotonicNanoseconds()
        if now - lastSignal > Self.interruptSpacing {
          context.signal(queue)
          lastSignal = now
        }
      }
    } while queue.allowNotifications()
  }

  /// Answers one request. The status byte is the last that the driver left room for, and is written
  /// even when the request makes no sense.
  private func carryOut(_ chain: consuming Chain, _ queue: LiveQueue) {
    let room = chain.writer.remaining
    guard room > 0 else { return queue.complete(chain, written: 0) }
    var statusWriter = chain.writer
    statusWriter.skip(room - 1)
    var status = BlockRequest.Status.ioError
    if let kind = chain.reader.load(UInt32.self), chain.reader.load(UInt32.self) != nil,
      let sector = chain.reader.load(UInt64.self)
    {
      if let kind = BlockRequest.Kind(rawValue: kind) {
        status = carryOut(kind, sector: sector, reader: &chain.reader, writer: &chain.writer, room: room - 1)
      } else {
        status = .unsupported
      }
    }
    statusWriter.store(status.rawValue)
    // Only a prefix counts as written; after a failure, what precedes the status is not promised.
    queue.complete(chain, written: chain.writer.written == room - 1 ? room : 0)
    queue.publish()
  }

  private func carryOut(
    _ kind: BlockRequest.Kind, sector: UInt64, reader: inout ChainReader, writer: inout ChainWriter, room: Int
  ) -> BlockRequest.Status {
    switch kind {
    case .read:
      guard let offset = range(sector, bytes: room) else { return .ioError }
      return attempt(.read) { () throws(Errno) in
        try transfer.read(at: offset, room, &writer)
        device.counters.countRead(bytes: room)
      }
    case .write:
      let bytes = reader.remaining
      guard !device.storage.isReadOnly, let offset = range(sector, bytes: bytes) else { return .ioError }
      return attempt(.write) { () throws(Errno) in
        try transfer.write(at: offset, &reader)
        try flushIfWriteThrough()
        device.counters.countWrite(bytes: bytes)
      }
    case .flush:
      return attempt(.flush) { () throws(Errno) in
        try device.storage.flush()
        device.counters.countFlush()
      }
    case .getID:
      guard room >= BlockRequest.idSize else { return .ioError }
      let bytes = Array(device.serial.utf8.prefix(BlockRequest.idSize))
      writer.write(bytes + [UInt8](repeating: 0, count: room - bytes.count))
      return .ok
    case .discard, .writeZeroes:
      return forget(kind, &reader)
    }
  }

  // MARK: - Ranges

  /// The byte offset of a run of whole sectors within the disk, or nil when it is none.
  private func range(_ sector: UInt64, bytes: Int) -> UInt64? {
    guard bytes > 0, bytes % BlockRequest.sectorSize == 0 else { return nil }
    return range(sector, sectors: UInt64(bytes / BlockRequest.sectorSize))
  }

  private func range(_ sector: UInt64, sectors: UInt64) -> UInt64? {
    let capacity = device.capacity
    guard sector <= capacity, sectors <= capacity - sector else { return nil }
    return sector * UInt64(BlockRequest.sectorSize)
  }

  /// Discards or zeroes the ranges that a request lists (§5.2.6.2).
  private func forget(_ kind: BlockRequest.Kind, _ reader: inout ChainReader) -> BlockRequest.Status {
    let feature: VirtioFeatures = kind == .discard ? .blockDiscard : .blockWriteZeroes
    guard context.features.contains(feature) else { return .unsupported }
    let count = reader.remaining / BlockRequest.Segment.size
    guard count > 0, reader.remaining % BlockRequest.Segment.size == 0, count <= VirtioBlock.maximumSegments
    else { return .ioError }
    while let segment = BlockRequest.Segment(&reader) {
      guard !segment.hasUnknownFlags, kind == .writeZeroes || !segment.mayUnmap else { return .unsupported }
      guard segment.sectorCount <= VirtioBlock.maximumSegmentSectors,
        let offset = range(segment.sector, sectors: UInt64(segment.sectorCount))
      else { return .ioError }
      let bytes = UInt64(segment.sectorCount) * UInt64(BlockRequest.sectorSize)
      if bytes == 0 { continue }
      let status =
        kind == .discard
        ? attempt(.discard) { () throws(Errno) in try device.storage.discard(at: offset, count: bytes) }
        : attempt(.writeZeroes) { () throws(Errno) in
          try device.storage.writeZeroes(at: offset, count: bytes, mayUnmap: segment.mayUnmap)
          try flushIfWriteThrough()
        }
      if status != .ok { return status }
    }
    return .ok
  }

  // MARK: - The host's side

  /// A driver that does not flush, or chose so, relies on every write to be durable (§5.2.6.2).
  private func flushIfWriteThrough() throws(Errno) {
    if !context.features.contains(.blockFlush) || !device.isWriteback { try device.storage.flush() }
  }

  private func attempt(
    _ operation: VirtioBlock.Failure.Operation, _ body: () throws(Errno) -> Void
  ) -> BlockRequest.Status {
    do {
      try body()
      reported[operation] = nil
      return .ok
    } catch {
      if reported[operation] != error {
        reported[operation] = error
        device.onFailure(VirtioBlock.Failure(operation: operation, errno: error))
      }
      return .ioError
    }
  }
}
