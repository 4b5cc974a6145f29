internal import GuestMemory
internal import Synchronization

/// A split virtqueue at work (virtio 1.3 §2.7), with a geometry that was checked once and is fixed.
///
/// Whatever the driver writes into the rings, a walk ends after at most as many descriptors as the
/// device's maximum; an error latches, and every later ``next()`` throws it again. Indices that both
/// sides change are read and written atomically.
package final class LiveQueue: @unchecked Sendable {  // handed once to a device's worker, then only its
  package let index: Int
  /// Descriptors in the table.
  package let size: Int
  /// The most descriptors of a chain, an indirect one included.
  private let chainLimit: Int
  private let usesEventIndex: Bool
  private let allowsIndirect: Bool
  private let memory: GuestMemory
  private let descriptors: GuestSlice
  private let available: GuestSlice
  private let used: GuestSlice
  /// Room for one copied table of descriptors.
  private let table: UnsafeMutableRawBufferPointer

  /// The next entry of the available ring to take.
  private var nextAvailable: UInt16 = 0
  /// The available index when it was last read.
  private var seenAvailable: UInt16 = 0
  /// The next entry of the used ring to fill.
  private var nextUsed: UInt16 = 0
  /// The used index as the driver sees it.
  private var publishedUsed: UInt16 = 0
  /// The used index when it was last decided whether to interrupt.
  private var signalledUsed: UInt16 = 0
  private var failure: QueueError?
  private var isStopped = false

  init(
    index: Int, size: Int, chainLimit: Int, features: VirtioFeatures, memory: GuestMemory,
    descriptors: GuestSlice, available: GuestSlice, used: GuestSlice, resuming: Bool
  ) {
    self.index = index
    self.size = size
    self.chainLimit = chainLimit
    usesEventIndex = features.contains(.eventIndex)
    allowsIndirect = features.contains(.indirectDescriptors)
    self.memory = memory
    self.descriptors = descriptors
    self.available = available
    self.used = used
    table = .allocate(byteCount: chainLimit * SplitDescriptor.size, alignment: SplitDescriptor.size)
    if resuming { takeOver() }
  }

  /// Goes on behind what was completed last, by whomever: nothing that was taken is open.
  func takeOver() {
    let position = used.loadAcquiring16(at: 2)
    (nextAvailable, seenAvailable) = (position, position)
    (nextUsed, publishedUsed, signalledUsed) = (position, position, position)
  }

  deinit { table.deallocate() }

  /// Where the rings are, and the next request to be taken: for someone else who works on the queue in our place.
  var rings: (descriptors: GuestSlice, available: GuestSlice, used: GuestSlice, position: UInt16) {
    (descriptors, available, used, nextAvailable)
  }

  /// Leaves the rings alone from now on: nothing is taken or completed any more.
  func stop() { isStopped = true }

  /// Whether it was not stopped.
  var isLive: Bool { !isStopped }

  // MARK: - Taking

  /// Takes the next request, or nil when the driver has made no more available.
  package func next() throws(QueueError) -> Chain? {
    if let failure { throw failure }
    guard !isStopped else { return nil }
    do {
      return try take()
    } catch {
      failure = error
      throw error
    }
  }

  /// Whether another request is there, as far as can be told without checking it.
  package var hasMore: Bool {
    nextAvailable != seenAvailable || available.loadAcquiring16(at: 2) != nextAvailable
  }

  /// Requests that wait, as far as can be told without checking them.
  package var waitingCount: Int { Int(available.loadAcquiring16(at: 2) &- nextAvailable) }

  private func take() throws(QueueError) -> Chain? {
    if nextAvailable == seenAvailable {
      let index = available.loadAcquiring16(at: 2)
      guard Int(index &- nextAvailable) <= size else {
        throw .indexJump(from: nextAvailable, to: index)
      }
      seenAvailable = index
      if index == nextAvailable { return nil }
    }
    guard Int(nextAvailable &- nextUsed) < size else { throw .tooManyChains }
    let head = available.load(UInt16.self, at: 4 + 2 * (Int(nextAvailable) & (size - 1)))
    let chain = try walk(from: head)
    nextAvailable &+= 1
    return chain
  }

  /// Copies the chain's descriptors, each read once, into checked slices.
  private func walk(from head: UInt16) throws(QueueError) -> Chain {
    var buffers = ChainBuffers(memory: memory)
    var number = head
    var walked = 0
    // Descriptors in the copied indirect table, or nil while the walk is in the queue's own.
    var indirectCount: Int?
    while true {
      let descriptor = try descriptor(number, indirectCount: indirectCount)
      if descriptor.isIndirect {
        guard allowsIndirect, indirectCount == nil, !descriptor.hasNext else { throw .badIndirect }
        indirectCount = try copyTable(descriptor)
        number = 0
        continue
      }
      walked += 1
      guard walked <= (indirectCount == nil ? size : chainLimit) else { throw .chainTooLong }
      try buffers.append(descriptor)
      guard descriptor.hasNext else { return buffers.chain(head: head) }
      number = descriptor.next
    }
  }

  private func descriptor(_ number: UInt16, indirectCount: Int?) throws(QueueError) -> SplitDescriptor {
    if let indirectCount {
      guard Int(number) < indirectCount else { throw .badDescriptor(number) }
      return SplitDescriptor(UnsafeRawBufferPointer(table), number: Int(number))
    }
    guard Int(number) < size else { throw .badDescriptor(number) }
    let start = Int(number) * SplitDescriptor.size
    descriptors.part(start..<start + SplitDescriptor.size).copy(to: table)
    return SplitDescriptor(UnsafeRawBufferPointer(table), number: 0)
  }

  /// Copies an indirect table whole, once, and returns how many descriptors it holds.
  private func copyTable(_ descriptor: SplitDescriptor) throws(QueueError) -> Int {
    let count = Int(descriptor.count) / SplitDescriptor.size
    guard count > 0, Int(descriptor.count) % SplitDescriptor.size == 0, count <= chainLimit else {
      throw .badIndirectSize(descriptor.count)
    }
    do {
      try memory.slice(at: descriptor.address, count: Int(descriptor.count)).copy(to: table)
    } catch {
      throw .outsideMemory(address: descriptor.address, count: UInt64(descriptor.count))
    }
    return count
  }

  /// A place to go back to, as long as nothing done since was published.
  package struct Mark {
    fileprivate let available: UInt16
    fileprivate let used: UInt16
  }

  package var mark: Mark { Mark(available: nextAvailable, used: nextUsed) }

  /// Gives the chains taken since the mark back, so that they will be taken again, and forgets which
  /// of them were completed. None of them may be completed afterwards.
  package func rewind(to mark: Mark) {
    precondition(publishedUsed &- mark.used == 0 || publishedUsed &- mark.used > 0x8000)
    nextAvailable = mark.available
    nextUsed = mark.used
  }

  // MARK: - Completing

  /// Enters a request in the used ring, with how many bytes were written to it. The driver sees it
  /// after ``publish()``.
  package func complete(_ chain: consuming Chain, written: Int) {
    guard !isStopped else { return }
    let element = UInt64(chain.head) | UInt64(UInt32(clamping: written)) << 32
    used.store(element, at: 4 + 8 * (Int(nextUsed) & (size - 1)))
    nextUsed &+= 1
  }

  /// Shows the driver what was completed.
  package func publish() {
    guard publishedUsed != nextUsed, !isStopped else { return }
    used.storeReleasing16(nextUsed, at: 2)
    publishedUsed = nextUsed
  }

  /// Whether the driver wants an interrupt for what was published since this was last asked.
  package func shouldInterrupt() -> Bool {
    let old = signalledUsed
    guard publishedUsed != old, !isStopped else { return false }
    signalledUsed = publishedUsed
    // The used index must be out before the driver's wish is read: the driver writes its wish, then
    // looks at the index, and one of the two must see the other.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if usesEventIndex {
      let event = available.loadAcquiring16(at: 4 + 2 * size)
      return publishedUsed &- event &- 1 < publishedUsed &- old
    }
    return available.loadAcquiring16(at: 0) & 1 == 0
  }

  // MARK: - Notifications from the driver

  /// Spares the driver notifications while the device looks by itself.
  package func suppressNotifications() {
    // With event indices the index left behind has the same effect.
    if !usesEventIndex, !isStopped { used.storeReleasing16(1, at: 0) }
  }

  /// Asks to be notified of the next request after those that were seen; true when one is there already,
  /// which the driver may have added without a notification. What was given back by ``rewind(to:)`` was
  /// seen: whoever needs more than that would otherwise be told at once, again and again.
  package func allowNotifications() -> Bool {
    guard !isStopped, failure == nil else { return false }
    if usesEventIndex {
      used.storeReleasing16(seenAvailable, at: 4 + 8 * size)
    } else {
      used.storeReleasing16(0, at: 0)
    }
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return available.loadAcquiring16(at: 2) != seenAvailable
  }
}
