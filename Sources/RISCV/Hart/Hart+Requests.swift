internal import HostSystem
internal import Synchronization
internal import Translator

/// What other harts ask of a hart, and how they wait for it.
extension Hart {
  /// A request in the queue, and as how many it counts.
  struct PostedRequests {
    var request: HartRequest
    var count: UInt64
  }

  /// Fences of translations that wait at most before they become one of all.
  private static let fencesApart = 16

  /// Leaves a request for the hart; ``hasServed(_:)`` tells whether it has been carried out. The hart is not made to
  /// look up: ``kick()``.
  package func post(_ request: HartRequest) -> UInt64 {
    requests.withLock { queue in
      if request.isFence, queue.count >= Self.fencesApart, let last = queue.last, last.request.isFence {
        queue[queue.count - 1] = PostedRequests(
          request: .fence(address: 0, pages: nil, space: nil), count: last.count + 1)
      } else {
        queue.append(PostedRequests(request: request, count: 1))
      }
      return posted.add(1, ordering: .sequentiallyConsistent).newValue
    }
  }

  /// Whether a request that was just posted has to be waited for: unless the hart touches no guest state, or will serve
  /// it before it uses what the request is about.
  func mustServeNow(_ request: HartRequest) -> Bool {
    if parked.load(ordering: .sequentiallyConsistent) != 0 { return false }
    if case .fence(_, _, let space?) = request {
      return currentSpace.load(ordering: .sequentiallyConsistent) == space
    }
    return true
  }

  /// Whether a request has been carried out, or will be before the hart touches guest state again.
  package func hasServed(_ ticket: UInt64) -> Bool {
    served.load(ordering: .sequentiallyConsistent) >= ticket
      || parked.load(ordering: .sequentiallyConsistent) != 0
  }

  /// Whether there is something to serve.
  var hasRequests: Bool {
    posted.load(ordering: .sequentiallyConsistent) != served.load(ordering: .sequentiallyConsistent)
  }

  /// Carries out what other harts asked.
  func serveRequests() {
    guard hasRequests else { return }
    while let (request, count) = nextRequest() {
      switch request {
      case .fence(let address, let pages, let space): fence(address: address, pages: pages, space: space)
      case .dropWrites(let page): dropWrites(page: page)
      case .dropAllWrites: dropAllWrites()
      case .dropCode(let page, let starts): dropCode(page: page, starts: starts)
      case .quiesce: break
      }
      served.add(count, ordering: .sequentiallyConsistent)
      tellServed()
      if case .quiesce(let generation) = request {
        // Another hart that has called out may have to be answered before it can stay out too.
        while !cluster.isCacheEmptied(since: generation) {
          serveRequests()
          hostYield()
        }
        forgetCode()
      }
    }
  }

  /// The first request, if it may be served now.
  private func nextRequest() -> (HartRequest, UInt64)? {
    // Generated code that called out is gone back to: it must be left before it may be dropped.
    let isCalledOut = isCalledOut
    return requests.withLock { queue in
      guard let first = queue.first, !(isCalledOut && first.request.isQuiesce) else { return nil }
      queue.removeFirst()
      return (first.request, first.count)
    }
  }

  /// Whether generated code waits for a call-out to come back.
  private var isCalledOut: Bool { context.word(ContextLayout.callOutStack).pointee != 0 }

  // MARK: - Waiting

  /// Times that a hart looks whether another has served its request before it sleeps: some microseconds.
  private static let looks = 200

  /// Waits until another hart has served a request, and serves those of others meanwhile.
  func wait(for other: Hart, _ ticket: UInt64) {
    for _ in 0..<Self.looks {
      if other.hasServed(ticket) { return }
      serveRequests()
    }
    // Of a hart that has called out others may ask what cannot be done while it sleeps.
    guard !isCalledOut else {
      while !other.hasServed(ticket) {
        serveRequests()
        hostYield()
      }
      return
    }
    leave()
    other.sleepUntilServed(ticket)
    enter()
  }

  /// Sleeps until the hart has served a request: on a thread of no hart, or of another that touches no guest state.
  func sleepUntilServed(_ ticket: UInt64) {
    servedWaiters.add(1, ordering: .sequentiallyConsistent)
    while true {
      let changes = servedChanges.pointee.load(ordering: .sequentiallyConsistent)
      if hasServed(ticket) { break }
      futexWait(servedChanges, expected: changes)
    }
    servedWaiters.subtract(1, ordering: .sequentiallyConsistent)
  }

  /// Wakes those who wait for the hart to serve a request, or to park.
  func tellServed() {
    guard servedWaiters.load(ordering: .sequentiallyConsistent) != 0 else { return }
    servedChanges.pointee.add(1, ordering: .sequentiallyConsistent)
    futexWake(servedChanges)
  }
}
