internal import Glibc
internal import HostSystem
internal import Synchronization

/// Reads a disk from front to back on threads of its own, a few pieces ahead of whoever takes them.
///
/// Each thread claims the next piece in turn, waits until its slot is free and reads into it, so that the pieces
/// lie in the slots in the disk's order.
final class ReadAhead {
  /// A stretch of the disk.
  struct Piece {
    enum Content {
      case zero
      case data(UnsafeRawBufferPointer)
      case failed(Errno)
    }
    let offset: UInt64
    let count: UInt64
    let content: Content
    fileprivate let slot: Int
  }

  private static let pieceSize: UInt64 = 1 << 20
  private static let slotCount = 6
  private let shared: Shared
  private var threads: [Thread] = []
  private var taken = 0

  init(_ disk: any DiskImage) throws(Errno) {
    shared = Shared(disk, room: try Mapping.map(size: Int(Self.pieceSize) * Self.slotCount))
    for _ in 0..<min(3, max(1, Thread.usableCPUs.count)) {
      do {
        threads.append(try Thread.start(name: "reading") { [shared] in shared.work() })
      } catch {
        guard threads.isEmpty else { break }
        throw error
      }
    }
  }

  /// The next piece; nil at the disk's end. It is to be released before the next but five is there.
  func next() -> Piece? {
    let slot = taken % Self.slotCount
    shared.slots[slot].ready.wait()
    taken += 1
    let claim = shared.claims.withLock { $0.ready[slot] }
    guard let claim else { return nil }
    let content: Piece.Content =
      if let failure = claim.failure {
        .failed(failure)
      } else if claim.isZero {
        .zero
      } else {
        .data(
          UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(shared.buffer(slot))[..<Int(claim.count)]))
      }
    return Piece(offset: claim.offset, count: claim.count, content: content, slot: slot)
  }

  func release(_ piece: Piece) { shared.slots[piece.slot].free.signal() }

  /// Ends the threads, wherever they are.
  func stop() {
    shared.isStopped.store(true, ordering: .releasing)
    for slot in shared.slots {
      for _ in threads { slot.free.signal() }
    }
    for thread in threads { thread.join() }
    threads = []
  }

  private struct Claim {
    var offset: UInt64
    var count: UInt64
    var isZero = false
    var failure: Errno?
  }

  private struct Slot {
    let free = Semaphore(1)
    let ready = Semaphore(0)
  }

  private final class Shared: Sendable {
    struct Claims {
      var next = 0
      /// Where the next piece begins; nil when there is none.
      var position: UInt64? = 0
      /// The extent in which that is.
      var extent: DiskExtent?
      /// What lies in each slot.
      var ready: [Claim?]
    }

    let disk: any DiskImage
    let room: Mapping
    let slots: [Slot]
    let claims: Mutex<Claims>
    let isStopped = Atomic(false)
    /// Held by the thread whose turn it is to claim.
    private let turn = Mutex(())

    init(_ disk: any DiskImage, room: Mapping) {
      self.disk = disk
      self.room = room
      slots = (0..<ReadAhead.slotCount).map { _ in Slot() }
      claims = Mutex(Claims(ready: Array(repeating: nil, count: ReadAhead.slotCount)))
    }

    func buffer(_ slot: Int) -> UnsafeMutableRawBufferPointer {
      let size = Int(ReadAhead.pieceSize)
      return UnsafeMutableRawBufferPointer(start: room.base + slot * size, count: size)
    }

    func work() {
      while let (slot, claim) = claimNext() {
        var claim = claim
        if let wanted = claim, !wanted.isZero, wanted.failure == nil {
          do throws(Errno) {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer(slot)[..<Int(wanted.count)])
            try disk.read(at: wanted.offset, into: part)
          } catch {
            claim?.failure = error
          }
        }
        let result = claim
        claims.withLock { $0.ready[slot] = result }
        slots[slot].ready.signal()
        if result == nil { return }
      }
    }

    /// The next slot and what is to be read into it: nil for the mark of the end. Nil when nothing more is to do.
    private func claimNext() -> (Int, Claim?)? {
      turn.withLock { _ in
        guard let position = claims.withLock({ $0.position }), !isStopped.load(ordering: .acquiring) else {
          return nil
        }
        let slot = claims.withLock { claims in
          claims.next += 1
          return (claims.next - 1) % ReadAhead.slotCount
        }
        // In its turn, so that nobody who comes later has this slot before.
        slots[slot].free.wait()
        if isStopped.load(ordering: .acquiring) { return nil }
        guard position < disk.size else {
          claims.withLock { $0.position = nil }
          return (slot, nil)
        }
        let claim = piece(at: position)
        claims.withLock { $0.position = claim.failure == nil ? position + claim.count : nil }
        return (slot, claim)
      }
    }

    private func piece(at position: UInt64) -> Claim {
      do throws(Errno) {
        var extent = claims.withLock { $0.extent }
        if extent == nil || extent.map({ $0.end <= position }) == true {
          extent = try disk.extent(at: position, limit: disk.size)
          let found = extent
          claims.withLock { $0.extent = found }
        }
        guard let extent, extent.end > position else { throw .io }
        if extent.content == .zero {
          return Claim(offset: position, count: extent.end - position, isZero: true)
        }
        // Pieces end at multiples of their size, which are multiples of all formats' blocks or parts of them.
        let end = min(extent.end, (position / ReadAhead.pieceSize + 1) * ReadAhead.pieceSize)
        return Claim(offset: position, count: end - position)
      } catch {
        return Claim(offset: position, count: 0, failure: error)
      }
    }
  }
}

/// A counting semaphore (sem_overview(7)).
private final class Semaphore: @unchecked Sendable {  // sem_t is made to be shared by threads
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init(_ value: UInt32) { sem_init(semaphore, 0, value) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func wait() {
    while sem_wait(semaphore) != 0 && errno == EINTR {}
  }

  func signal() { sem_post(semaphore) }
}
