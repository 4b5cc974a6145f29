internal import GuestMemory
internal import HostSystem
internal import Synchronization

/// A balloon at work.
final class BalloonSession: VirtioSession {
  private enum Role {
    case inflate, deflate, statistics, reporting
  }

  /// The most pages of one request that are looked at; drivers send 256.
  private static let pageLimit = 1 << 16

  private let device: VirtioBalloon
  private let context: SessionContext
  /// The request that the next statistics are asked for with.
  private var held: Chain?
  private var isStatisticsWanted = false
  private var hasReportedRefusal = false

  init(device: VirtioBalloon, context: SessionContext) {
    self.device = device
    self.context = context
  }

  /// What a queue is for. The specification numbers the queues as if all features were there (§5.5.2);
  /// Linux numbers those that exist, so that page reporting comes right after the ones it has.
  private func role(of index: Int) -> Role {
    switch index {
    case 0: .inflate
    case 1: .deflate
    case 2 where context.features.contains(.balloonStatistics): .statistics
    default: .reporting
    }
  }

  func process(queue index: Int) throws(QueueError) {
    guard let queue = context.queue(index) else { return }
    let role = role(of: index)
    defer { context.signal(queue) }
    repeat {
      queue.suppressNotifications()
      while var chain = try queue.next() {
        switch role {
        case .inflate: inflate(&chain.reader)
        case .deflate: break  // The pages come back as they are touched.
        case .reporting: discardParts(chain.writer.parts())
        case .statistics:
          takeStatistics(consume chain, queue)
          continue
        }
        queue.complete(chain, written: 0)
        if context.isWanted { return context.reschedule(queue) }
      }
    } while queue.allowNotifications()
  }

  // MARK: - Pages

  /// Discards the pages that a request lists by number, consecutive ones together.
  private func inflate(_ reader: inout ChainReader) {
    var run: Range<UInt64>?
    for _ in 0..<Self.pageLimit {
      guard let number = reader.load(UInt32.self) else { break }
      let page = UInt64(number)
      if let old = run, old.upperBound == page {
        run = old.lowerBound..<page + 1
      } else if let old = run, old.lowerBound == page + 1 {
        run = page..<old.upperBound  // Linux hands out pages from the top.
      } else {
        discard(run)
        run = page..<page + 1
      }
    }
    discard(run)
  }

  private func discard(_ pages: Range<UInt64>?) {
    guard let pages else { return }
    let size = VirtioBalloon.pageSize
    discard(at: pages.lowerBound * UInt64(size), count: pages.count * size)
  }

  private func discardParts(_ parts: [GuestSlice]) {
    for part in parts {
      discard(at: part.address, count: part.count)
      device.reported.wrappingAdd(UInt64(part.count), ordering: .relaxed)
    }
  }

  private func discard(at address: UInt64, count: Int) {
    let refusal: String
    do {
      guard let errno = try device.memory.discard(at: address, count: count) else { return }
      refusal = "the host keeps the guest's pages: \(errno)"
    } catch {
      refusal = "the guest gave pages that are not its memory: \(error)"
    }
    if !hasReportedRefusal { context.transport.report(refusal) }
    hasReportedRefusal = true
  }

  // MARK: - Statistics

  /// Reads a report and keeps its request: giving that back asks for the next one (§5.5.6.3).
  private func takeStatistics(_ chain: consuming Chain, _ queue: LiveQueue) {
    let statistics = BalloonStatistics(&chain.reader)
    device.latestStatistics.withLock { $0 = statistics }
    if let old = held.take() { queue.complete(old, written: 0) }
    held = consume chain
    if isStatisticsWanted { askForStatistics(queue) }
  }

  func hostChanged() throws(QueueError) {
    isStatisticsWanted = true
    if let queue = context.queue(2) { askForStatistics(queue) }
  }

  private func askForStatistics(_ queue: LiveQueue) {
    guard let chain = held.take() else { return }
    isStatisticsWanted = false
    queue.complete(chain, written: 0)
    context.signal(queue)
  }
}
