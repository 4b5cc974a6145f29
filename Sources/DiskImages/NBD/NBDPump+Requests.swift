internal import Glibc
internal import HostSystem
internal import Synchronization

extension NBDPump {
  /// Changes are kept until a flush, so that they can be made again.
  private var keepsChanges: Bool { export?.canFlush == true && !hasLost }

  /// Sends what may be sent: first what has to be made again, then the queue's, in its order.
  func issue() {
    while let change = replay.first, inFlight.count < Self.mostInFlight, !isLost {
      let request = Self.again(change)
      guard !mustWait(request) else { return }
      replay.removeFirst()
      send(request)
    }
    guard replay.isEmpty, !inFlight.values.contains(where: { $0.kept != nil }) else { return }
    // A server that dies often is not to be told the same again each time.
    if hasReplayed {
      hasReplayed = false
      makeRoom()
    }
    while inFlight.count < Self.mostInFlight, !isLost {
      guard let request = shared.withLock({ $0.queue.first }) else { return }
      guard !mustWait(request), hasRoom(for: request) else { return }
      // Whoever waits for it may have withdrawn it in between.
      let isThere = shared.withLock { state in
        guard state.queue.first === request else { return false }
        state.queue.removeFirst()
        return true
      }
      if isThere { send(request) }
    }
  }

  /// A change that is made once more.
  private static func again(_ change: NBDLog.Change) -> NBDRequest {
    let operation: NBDRequest.Operation =
      if let bytes = change.bytes { .write(bytes) } else { .zero(mayUnmap: change.mayUnmap) }
    return NBDRequest(
      operation, at: change.offset, count: change.count, deadline: .max, isOwn: true, kept: change)
  }

  /// Of changes that overlap one waits for the other, so that the log has the server's order.
  private func mustWait(_ request: NBDRequest) -> Bool {
    request.isChange && inFlight.values.contains { $0.isChange && $0.overlaps(request) }
  }

  /// Whether the log has room for a change; makes some when it gets scarce.
  private func hasRoom(for request: NBDRequest) -> Bool {
    guard keepsChanges, request.isChange else { return true }
    var weight = 0
    for other in inFlight.values { weight += Self.weight(other) }
    guard log.weight + weight > 0 else { return true }
    if log.weight > limits.unflushed / 2 { makeRoom() }
    return log.weight + weight + Self.weight(request) <= limits.unflushed
  }

  private static func weight(_ request: NBDRequest) -> Int {
    if case .write(let buffer) = request.operation { buffer.count + 128 } else { request.isChange ? 128 : 0 }
  }

  private func makeRoom() {
    guard !isMakingRoom, !isLost else { return }
    isMakingRoom = true
    send(NBDRequest(.flush, deadline: .max, isOwn: true))
  }

  private func send(_ request: NBDRequest) {
    guard let handle else { return }
    if case .flush = request.operation {
      guard !hasLost else { return request.complete(.failure(.io)) }
      request.mark = log.mark
    }
    do throws(NBDHandle.Failure) {
      let cookie = try handle.send(
        request, forced: request.isChange && export?.canFlush == false && export?.canForce == true)
      if inFlight.isEmpty { lastProgress = monotonicNanoseconds() }
      inFlight[cookie] = request
    } catch {
      // Without a connection it is asked again on the next.
      if error.number == Errno(ENOTCONN) || handle.isOver {
        isLost = true
        if !request.isOwn { shared.withLock { $0.queue.insert(request, at: 0) } }
      } else {
        end(request, error.number)
      }
    }
  }

  /// Takes what the server has answered.
  func retire(_ handle: NBDHandle) {
    while let (cookie, failure) = handle.nextEnded() {
      // What went with the connection stays, to be asked again on the next.
      if let failure, [ENOTCONN, ESHUTDOWN].contains(failure.code) {
        isLost = true
        continue
      }
      guard let request = inFlight.removeValue(forKey: cookie) else { continue }
      wasAnswered()
      end(request, failure)
    }
  }

  private func end(_ request: NBDRequest, _ failure: Errno?) {
    if case .flush = request.operation {
      if request.isOwn { isMakingRoom = false }
      if failure == nil { log.drop(before: request.mark) } else { hasLost = true }
    } else if request.kept != nil {
      if failure != nil { hasLost = true }
    } else if failure == nil {
      keep(request)
    }
    if hasLost { log.drop(before: log.mark) }
    if let failure {
      // Ranges were looked at before, so that it is not the asker's fault.
      request.complete(.failure([ENOSPC, EPERM, ENOMEM].contains(failure.code) ? failure : .io))
    } else {
      request.complete(.success(()))
    }
  }

  private func keep(_ request: NBDRequest) {
    guard keepsChanges else { return }
    switch request.operation {
    case .write(let buffer):
      log.append(NBDLog.Change(offset: request.offset, copying: buffer))
    case .zero(let mayUnmap):
      log.append(NBDLog.Change(offset: request.offset, zeroes: request.count, mayUnmap: mayUnmap))
    case .read, .trim, .flush, .extents: break
    }
  }
}
