internal import HostSystem

/// A disk at work: takes requests, has them carried out, several beside each other where the disk makes them wait
/// (``BlockPace``), and answers each when it is done. In which order requests that overlap are carried out is the
/// driver's affair, who has to wait for the one before the other; a flush is of what was answered before (§5.2.6.2).
final class BlockSession: VirtioSession {
  /// The least time between two interrupts while there is more to do, in nanoseconds.
  private static let interruptSpacing: UInt64 = 100_000
  /// The token of ``BlockHelpers/counter``.
  private static let doneToken: UInt64 = 0
  /// The token of ``alarm``.
  private static let alarmToken: UInt64 = 1
  /// The token of ``retry``.
  private static let retryToken: UInt64 = 2
  /// The time between two attempts at what waits for room, in nanoseconds.
  private static let retryInterval: UInt64 = 1_000_000_000

  private let device: VirtioBlock
  private let context: SessionContext
  private var pace: BlockPace
  private var lastSignal: UInt64 = 0
  private var reported: [VirtioBlock.Failure.Operation: Errno] = [:]
  /// Made for the first request that is handed over.
  private var helpers: BlockHelpers?
  /// Requests that helpers have.
  private var handed = 0
  private var free = BlockTaskList()
  /// Of which change of its rates the limits are.
  private var seenRates: UInt32?
  private var reads = BlockLane()
  private var writes = BlockLane()
  /// Rings when what waits in them may begin. Made with the first limit.
  private var alarm: Alarm?
  /// What the host has no room for. Nothing is taken while there is some.
  private var short = BlockTaskList()
  /// Rings when it is to be tried again.
  private var retry: Alarm?

  init(device: VirtioBlock, context: SessionContext) {
    self.device = device
    self.context = context
    pace = BlockPace(device.pace)
  }

  func begin() throws(QueueError) { try hostChanged() }

  // MARK: - Taking

  func process(queue index: Int) throws(QueueError) {
    guard let queue = context.queue(index) else { return }
    defer { context.signal(queue) }
    repeat {
      queue.suppressNotifications()
      while short.isEmpty, let chain = try queue.next() {
        take(chain, queue)
        if context.isWanted { return context.reschedule(queue) }
        signalNowAndThen(queue)
      }
    } while short.isEmpty && queue.allowNotifications()
  }

  /// Interrupts while there is more to do, and not for each request.
  private func signalNowAndThen(_ queue: LiveQueue) {
    let now = monotonicNanoseconds()
    guard now - lastSignal > Self.interruptSpacing else { return }
    context.signal(queue)
    lastSignal = now
  }

  /// Answers a request that makes no sense, or needs no disk; sets about the others. The status byte is the last that
  /// the driver left room for, and is written in any case.
  private func take(_ chain: consuming Chain, _ queue: LiveQueue) {
    let room = chain.writer.remaining
    guard room > 0 else { return queue.complete(chain, written: 0) }
    guard let number = chain.reader.load(UInt32.self), chain.reader.load(UInt32.self) != nil,
      let sector = chain.reader.load(UInt64.self)
    else { return refuse(chain, .ioError, queue) }
    guard let kind = BlockRequest.Kind(rawValue: number) else { return refuse(chain, .unsupported, queue) }
    switch kind {
    case .read:
      guard let offset = device.range(sector, bytes: room - 1) else { return refuse(chain, .ioError, queue) }
      begin(chain, .read, at: offset, count: room - 1, queue)
    case .write:
      let bytes = chain.reader.remaining
      guard !device.storage.isReadOnly, let offset = device.range(sector, bytes: bytes) else {
        return refuse(chain, .ioError, queue)
      }
      begin(chain, .write, at: offset, count: bytes, queue)
    case .flush:
      begin(chain, .flush, at: 0, count: 0, queue)
    case .getID:
      guard room > BlockRequest.idSize else { return refuse(chain, .ioError, queue) }
      let bytes = Array(device.serial.utf8.prefix(BlockRequest.idSize))
      chain.writer.write(bytes + [UInt8](repeating: 0, count: room - 1 - bytes.count))
      refuse(chain, .ok, queue)
    case .discard, .writeZeroes:
      guard context.features.contains(kind == .discard ? .blockDiscard : .blockWriteZeroes) else {
        return refuse(chain, .unsupported, queue)
      }
      let bytes = chain.reader.remaining
      guard bytes > 0, bytes % BlockRequest.Segment.size == 0,
        bytes / BlockRequest.Segment.size <= VirtioBlock.maximumSegments
      else { return refuse(chain, .ioError, queue) }
      begin(chain, kind == .discard ? .discard : .writeZeroes, at: 0, count: bytes, queue)
    }
  }

  /// Answers without the disk.
  private func refuse(_ chain: consuming Chain, _ status: BlockRequest.Status, _ queue: LiveQueue) {
    let filled = chain.writer.written
    Self.answer(chain, status, filled: filled, queue)
    queue.publish()
  }

  private func begin(
    _ chain: consuming Chain, _ operation: BlockTask.Operation, at offset: UInt64, count: Int,
    _ queue: LiveQueue
  ) {
    let task = free.removeFirst() ?? BlockTask()
    // A driver that does not flush, or chose so, relies on every write to be durable (§5.2.6.2).
    let isWriteThrough = !context.features.contains(.blockFlush) || !device.isWriteback
    task.take(chain, operation, at: offset, count: count, isWriteThrough: isWriteThrough)
    if isAdmitted(task) { carryOut(task, queue) }
  }

  /// Carries a request out, or has it carried out.
  private func carryOut(_ task: BlockTask, _ queue: LiveQueue) {
    let isAlone = handed == 0 && !queue.hasMore
    if pace.handsOver(isFlush: task.operation == .flush, isAlone: isAlone), let helpers = readyHelpers(),
      helpers.hand(task)
    {
      handed += 1
      return
    }
    task.carryOut(device)
    finish(task, queue)
    queue.publish()
  }

  private func readyHelpers() -> BlockHelpers? {
    if let helpers { return helpers }
    guard let helpers = try? BlockHelpers(device) else { return nil }
    context.watch(helpers.counter.descriptor, for: .read, token: Self.doneToken)
    self.helpers = helpers
    return helpers
  }

  // MARK: - Answering

  func ready(token: UInt64) throws(QueueError) {
    if token == Self.alarmToken { return admitLate() }
    if token == Self.retryToken { return try tryAgain() }
    helpers?.counter.drain()
    collect()
  }

  /// Answers what helpers have done.
  private func collect() {
    guard let helpers, let queue = context.queue(0) else { return }
    var done = helpers.takeDone()
    while let task = done.removeFirst() {
      handed -= 1
      finish(task, queue)
    }
    context.signal(queue)
  }

  private func finish(_ task: BlockTask, _ queue: LiveQueue) {
    pace.note(isFlush: task.operation == .flush, nanoseconds: task.duration)
    if let errno = task.errno, errno.isWantOfRoom, device.onWant != nil { return waitForRoom(task) }
    if let errno = task.errno {
      tell(task.operation.name, errno)
    } else if task.status == .ok {
      reported[task.operation.name] = nil
      device.counters.count(task.operation, bytes: task.count)
    }
    task.answer(queue)
    free.append(task)
  }

  private func tell(_ operation: VirtioBlock.Failure.Operation, _ errno: Errno) {
    guard reported[operation] != errno else { return }
    reported[operation] = errno
    device.onFailure(VirtioBlock.Failure(operation: operation, errno: errno))
  }

  /// Enters an answer in the queue, of which `filled` bytes precede the status.
  static func answer(
    _ chain: consuming Chain, _ status: BlockRequest.Status, filled: Int, _ queue: LiveQueue
  ) {
    let room = chain.writer.remaining + chain.writer.written
    chain.writer.skip(room - 1 - chain.writer.written)
    chain.writer.store(status.rawValue)
    // Only a prefix counts as written; after a failure, what precedes the status is not promised.
    queue.complete(chain, written: filled == room - 1 ? room : 0)
  }

  // MARK: - Want of room

  private func waitForRoom(_ task: BlockTask) {
    if short.isEmpty {
      device.note(wantOfRoom: true)
      if retry == nil, let alarm = try? Alarm() {
        context.watch(alarm.descriptor, for: .read, token: Self.retryToken)
        retry = alarm
      }
      retry?.set(monotonicNanoseconds() &+ Self.retryInterval)
    }
    short.append(task)
  }

  /// Carries out what waits for room, until there is none for one of them.
  private func tryAgain() throws(QueueError) {
    retry?.set(nil)
    guard let queue = context.queue(0) else { return }
    // A queue that was stopped has no memory any more.
    guard queue.isLive else { return giveUp() }
    var waiting = short.takeAll()
    while let task = waiting.removeFirst() {
      if short.isEmpty {
        task.carryOut(device)
        finish(task, queue)
      } else {
        short.append(task)
      }
    }
    context.signal(queue)
    guard short.isEmpty else { return }
    device.note(wantOfRoom: false)
    try process(queue: 0)
  }

  /// Answers what waits for room with its failure.
  private func giveUp() {
    guard let queue = context.queue(0) else { return }
    while let task = short.removeFirst() { task.answer(queue) }
    device.note(wantOfRoom: false)
  }

  // MARK: - Limits

  /// The host changed what the disk may move.
  func hostChanged() throws(QueueError) {
    renewLimits()
    admitLate()
  }

  private func renewLimits() {
    let version = device.ratesChanges
    if version == seenRates { return }
    seenRates = version
    let rates = device.rates
    reads.limit = BlockLimit(bytes: rates.readBytes, requests: rates.reads)
    writes.limit = BlockLimit(bytes: rates.writtenBytes, requests: rates.writes)
    if alarm == nil, !reads.limit.isNone || !writes.limit.isNone, let alarm = try? Alarm() {
      context.watch(alarm.descriptor, for: .read, token: Self.alarmToken)
      self.alarm = alarm
    }
  }

  /// Whether a request may begin now; if not, it is kept until it may.
  private func isAdmitted(_ task: BlockTask) -> Bool {
    // The change may be known before this thread is told of it.
    renewLimits()
    // Without an alarm nothing would wake those that wait.
    guard let alarm else { return true }
    let isAdmitted =
      switch task.operation {
      case .read: reads.admits(task)
      case .write: writes.admits(task)
      case .flush, .discard, .writeZeroes: true
      }
    if !isAdmitted { alarm.set(nextAdmission) }
    return isAdmitted
  }

  /// When something that waits may begin.
  private var nextAdmission: UInt64? {
    guard let read = reads.nextBegin else { return writes.nextBegin }
    return writes.nextBegin.map { min($0, read) } ?? read
  }

  /// Begins what the limits admit by now, or all that waits.
  private func admitLate(all: Bool = false) {
    guard let queue = context.queue(0), let alarm else { return }
    while let task = reads.nextAdmitted(all: all) { carryOut(task, queue) }
    while let task = writes.nextAdmitted(all: all) { carryOut(task, queue) }
    alarm.set(nextAdmission)
    context.signal(queue)
  }

  // MARK: - Resting

  func rest() {
    // What has been taken cannot be given back.
    admitLate(all: true)
    while handed > 0 {
      helpers?.awaitDone()
      collect()
    }
  }

  func end() {
    rest()
    giveUp()
    helpers?.end()
  }
}
