internal import GuestMemory
internal import HostSystem

/// A request between its queue and its answer. It owns its chain, and with it the buffers; one thread at a time has it:
/// the session's, which takes and answers it, or a helper's, which carries it out.
final class BlockTask: @unchecked Sendable {  // handed from thread to thread, through a lock
  /// What is done with the storage.
  enum Operation: Int {
    case read, write, flush, discard, writeZeroes

    var name: VirtioBlock.Failure.Operation {
      switch self {
      case .read: .read
      case .write: .write
      case .flush: .flush
      case .discard: .discard
      case .writeZeroes: .writeZeroes
      }
    }
  }

  private static var nothing: (ChainReader, ChainWriter) {
    (ChainReader([], count: 0), ChainWriter([], count: 0))
  }

  private var chain: Chain?
  private(set) var operation = Operation.read
  private var offset: UInt64 = 0
  /// Bytes of data.
  private(set) var count = 0
  private var reader: ChainReader
  private var writer: ChainWriter
  private var isWriteThrough = false
  /// Where reader and writer begin.
  private var begin: (ChainReader, ChainWriter)

  private(set) var status = BlockRequest.Status.ok
  /// What the host said, when it failed.
  private(set) var errno: Errno?
  /// Nanoseconds that it took to carry out.
  private(set) var duration: UInt64 = 0
  /// The one behind it in a ``BlockTaskList``.
  var next: BlockTask?

  init() {
    begin = Self.nothing
    (reader, writer) = begin
  }

  /// Takes a request over. Its header has been read, and `offset` and `count` are a range of the disk.
  func take(
    _ chain: consuming Chain, _ operation: Operation, at offset: UInt64, count: Int, isWriteThrough: Bool
  ) {
    begin = (chain.reader, chain.writer)
    self.chain = consume chain
    self.operation = operation
    self.offset = offset
    self.count = count
    self.isWriteThrough = isWriteThrough
  }

  /// Does what is asked, on any thread.
  func carryOut(_ device: VirtioBlock) {
    let started = monotonicNanoseconds()
    (reader, writer) = begin
    errno = nil
    do throws(Errno) {
      status = try perform(device)
    } catch {
      errno = error
      status = .ioError
    }
    duration = monotonicNanoseconds() &- started
  }

  private func perform(_ device: VirtioBlock) throws(Errno) -> BlockRequest.Status {
    let storage = device.storage
    switch operation {
    case .read: try BlockTransfer(storage: storage).read(at: offset, count, &writer)
    case .write:
      try BlockTransfer(storage: storage).write(at: offset, &reader)
      if isWriteThrough { try storage.flush() }
    case .flush: try storage.flush()
    case .discard, .writeZeroes: return try forget(device)
    }
    return .ok
  }

  /// Discards or zeroes the ranges that a request lists (§5.2.6.2).
  private func forget(_ device: VirtioBlock) throws(Errno) -> BlockRequest.Status {
    while let segment = BlockRequest.Segment(&reader) {
      guard !segment.hasUnknownFlags, operation == .writeZeroes || !segment.mayUnmap else {
        return .unsupported
      }
      guard segment.sectorCount <= VirtioBlock.maximumSegmentSectors,
        let offset = device.range(segment.sector, sectors: UInt64(segment.sectorCount))
      else { return .ioError }
      let bytes = UInt64(segment.sectorCount) * UInt64(BlockRequest.sectorSize)
      if bytes == 0 { continue }
      if operation == .discard {
        try device.storage.discard(at: offset, count: bytes)
      } else {
        try device.storage.writeZeroes(at: offset, count: bytes, mayUnmap: segment.mayUnmap)
        if isWriteThrough { try device.storage.flush() }
      }
    }
    return .ok
  }

  /// Enters the answer in the queue.
  func answer(_ queue: LiveQueue) {
    guard let chain = chain.take() else { return }
    BlockSession.answer(chain, status, filled: writer.written, queue)
    // Guest memory is not held on to.
    begin = Self.nothing
    (reader, writer) = begin
  }
}

/// Tasks in the order in which they came, without room of its own.
struct BlockTaskList {
  private var first: BlockTask?
  private var last: BlockTask?

  var isEmpty: Bool { first == nil }

  mutating func append(_ task: BlockTask) {
    task.next = nil
    if let last { last.next = task } else { first = task }
    last = task
  }

  mutating func removeFirst() -> BlockTask? {
    guard let task = first else { return nil }
    first = task.next
    if first == nil { last = nil }
    task.next = nil
    return task
  }

  /// Empties the list, and returns what was in it.
  mutating func takeAll() -> BlockTaskList {
    defer { self = BlockTaskList() }
    return self
  }
}
