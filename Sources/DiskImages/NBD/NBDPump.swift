internal import Glibc
internal import HostSystem
internal import Synchronization

/// The thread that speaks with a server, for all who have requests.
///
/// It alone has the connection. Requests come by a queue and go back there when the connection is lost; a request that
/// is in the queue may be withdrawn by whoever waits for it, so that connecting again may take as long as it takes.
final class NBDPump: @unchecked Sendable {  // `shared`, and else the thread's own after the opening
  struct Shared {
    var queue: [NBDRequest] = []
    var isEnding = false
    var nextNumber: UInt64 = 0
  }

  /// Requests that are with the server at once.
  static let mostInFlight = 64

  let name: String
  let exportName: String
  let limits: NBDLimits
  let shared = Mutex(Shared())
  private let wake: EventCounter
  private let ended = Completion()

  private let again: NBDImage.Connect?
  private let onChange: @Sendable (NBDImage.Change) -> Void
  private let way: NBDWay
  /// The socket that was handed over, until it was used.
  private var first: Descriptor?

  // The thread's own.
  var export: NBDExport?
  var handle: NBDHandle?
  var inFlight: [UInt64: NBDRequest] = [:]
  var log = NBDLog()
  /// What is to be made again on a new connection, before anything else.
  var replay: ArraySlice<NBDLog.Change> = []
  /// What was to be made again was, and is to be flushed.
  var hasReplayed = false
  /// A flush for room is with the server.
  var isMakingRoom = false
  /// Something that was answered can not be made durable any more: flushes fail from then on.
  var hasLost = false
  /// The connection is of no use.
  var isLost = false
  /// When the server last took or sent something, while it was asked something.
  var lastProgress: UInt64 = 0
  private var nextAttempt: UInt64 = 0
  private var pause: UInt64
  /// Why the connection is gone, or the last attempt at another failed.
  private var lossReason = ""

  /// Connects, in the thread that is started for it.
  init(
    name: String, export: String, way: NBDWay, limits: NBDLimits,
    onChange: @escaping @Sendable (NBDImage.Change) -> Void
  ) throws(DiskImageError) {
    self.name = name
    exportName = export
    self.limits = limits
    self.way = way
    self.onChange = onChange
    pause = limits.firstPause
    switch way {
    case .sockets(let first, let again):
      self.first = first
      self.again = again
    case .tls: again = nil
    }
    do throws(Errno) {
      wake = try EventCounter()
    } catch {
      throw .system(name: name, operation: "open", error)
    }
    let opening = Opening()
    do throws(Errno) {
      _ = try Thread.start(name: "nbd") { self.run(opening) }
    } catch {
      throw .system(name: name, operation: "open", error)
    }
    opening.completion.wait()
    if let failure = opening.failure.withLock({ $0 }) { throw .server(name: name, reason: failure.reason) }
  }

  private final class Opening: Sendable {
    let completion = Completion()
    let failure = Mutex<NBDHandle.Failure?>(nil)
  }

  // MARK: - For those who ask

  /// Hands requests over and waits for all of them. Throws what the first that failed failed by.
  func perform(_ requests: [NBDRequest]) throws(Errno) {
    shared.withLock {
      for request in requests {
        request.number = $0.nextNumber
        $0.nextNumber += 1
        $0.queue.append(request)
      }
    }
    wake.signal()
    var failure: Errno?
    for request in requests {
      while true {
        let now = monotonicNanoseconds()
        // The thread looks after deadlines itself, unless it is where it connects again.
        let patience = max(request.deadline, now) - now + 100_000_000
        if request.wait(nanoseconds: Int64(clamping: patience)) { break }
        withdraw(request)
      }
      if case .failure(let error) = request.result, failure == nil { failure = error }
    }
    if let failure { throw failure }
  }

  private func withdraw(_ request: NBDRequest) {
    let isThere = shared.withLock {
      guard let index = $0.queue.firstIndex(where: { $0 === request }) else { return false }
      $0.queue.remove(at: index)
      return true
    }
    if isThere { request.complete(.failure(.timedOut)) }
  }

  /// Has the thread end, and waits for that for a moment: it may be where it connects again.
  func end() {
    shared.withLock { $0.isEnding = true }
    wake.signal()
    _ = ended.wait(nanoseconds: 2_000_000_000)
  }

  // MARK: - The thread

  private func run(_ opening: Opening) {
    // Where a library writes to a socket that is gone, it is told by an error.
    var pipe = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipe, nil)
    do throws(NBDHandle.Failure) {
      let handle = try connect()
      export = try handle.export()
      self.handle = handle
      opening.completion.complete()
    } catch {
      opening.failure.withLock { $0 = error }
      opening.completion.complete()
      return
    }
    while !isEnding {
      wake.drain()
      if handle == nil {
        connectAgain()
      } else {
        issue()
        if !isLost { step() }
        if isLost { lose() }
        expire()
      }
    }
    finish()
  }

  private var isEnding: Bool { shared.withLock { $0.isEnding } }

  /// Says goodbye.
  private func finish() {
    if let handle, inFlight.isEmpty {
      handle.disconnect()
      let deadline = monotonicNanoseconds() + 1_000_000_000
      wake.drain()
      while !handle.isOver, monotonicNanoseconds() < deadline {
        guard (try? handle.step(wake, until: deadline)) != nil else { break }
      }
    }
    handle = nil
    let left =
      Array(inFlight.values)
      + shared.withLock { state in
        defer { state.queue = [] }
        return state.queue
      }
    for request in left { request.complete(.failure(.io)) }
    ended.complete()
  }

  /// What moves on the connection, until there is something else to do.
  private func step() {
    guard let handle else { return }
    let silent = inFlight.isEmpty ? UInt64.max : lastProgress + limits.silence * 1_000_000
    do throws(NBDHandle.Failure) {
      if try handle.step(wake, until: min(silent, earliestDeadline)) { lastProgress = monotonicNanoseconds() }
    } catch {
      isLost = true
    }
    retire(handle)
    if handle.isOver
      || (!inFlight.isEmpty && monotonicNanoseconds() >= lastProgress + limits.silence * 1_000_000)
    {
      isLost = true
    }
  }

  private var earliestDeadline: UInt64 {
    let waiting = shared.withLock { $0.queue.map(\.deadline).min() } ?? .max
    return min(waiting, inFlight.values.map(\.deadline).min() ?? .max)
  }

  /// Fails what has had its time. One that is with the server has its buffer back only without the connection.
  private func expire() {
    let now = monotonicNanoseconds()
    if inFlight.values.contains(where: { $0.deadline <= now }) { lose() }
    let late = shared.withLock { state in
      let late = state.queue.filter { $0.deadline <= now }
      if !late.isEmpty { state.queue.removeAll { $0.deadline <= now } }
      return late
    }
    for request in late { request.complete(.failure(.timedOut)) }
  }

  // MARK: - Connections

  /// Closes the connection; what was asked on it is asked again on the next.
  private func lose() {
    lossReason = "the server ended the connection, or was silent"
    isLost = false
    handle = nil
    let asked = inFlight.values.filter { !$0.isOwn }.sorted { $0.number < $1.number }
    inFlight = [:]
    replay = []
    isMakingRoom = false
    shared.withLock { $0.queue.insert(contentsOf: asked, at: 0) }
    putOff()
  }

  private func putOff() {
    nextAttempt = monotonicNanoseconds() + pause * 1_000_000
    pause = min(pause * 2, limits.longestPause)
  }

  /// The server has answered something.
  func wasAnswered() { pause = limits.firstPause }

  private func connectAgain() {
    expire()
    if case .sockets = way, again == nil {
      let asked = shared.withLock { state in
        defer { state.queue = [] }
        return state.queue
      }
      for request in asked { request.complete(.failure(.io)) }
    }
    // When nobody asks anything, there is time.
    guard shared.withLock({ !$0.queue.isEmpty }) else { return waitForWake(until: .max) }
    guard monotonicNanoseconds() >= nextAttempt else {
      return waitForWake(until: min(nextAttempt, earliestDeadline))
    }
    onChange(.lost(reason: lossReason))
    do throws(NBDHandle.Failure) {
      let handle = try connect()
      guard try handle.export() == export else {
        throw NBDHandle.Failure(.io, "the export is another than before")
      }
      self.handle = handle
      replay = log.changes[...]
      hasReplayed = !replay.isEmpty
      onChange(.returned)
    } catch {
      lossReason = error.reason
      putOff()
    }
  }

  private func waitForWake(until deadline: UInt64) {
    let now = monotonicNanoseconds()
    let milliseconds = deadline > now ? min((deadline - now) / 1_000_000 + 1, 60_000) : 0
    var entry = pollfd(fd: wake.descriptor.raw, events: Int16(POLLIN), revents: 0)
    _ = poll(&entry, 1, Int32(milliseconds))
  }

  private func connect() throws(NBDHandle.Failure) -> NBDHandle {
    let handle = try NBDHandle(export: exportName)
    switch way {
    case .sockets:
      let socket: Descriptor
      if let first {
        socket = first
        self.first = nil
      } else {
        do throws(Errno) {
          guard let again else { throw Errno(ENOTCONN) }
          socket = try again()
        } catch {
          throw NBDHandle.Failure(error, "the server cannot be reached: \(error)")
        }
      }
      try handle.begin(socket)
    case .tls(let host, let port, let certificates):
      try handle.begin(host: host, port: port, certificates: certificates)
    }
    let deadline = monotonicNanoseconds() + limits.handshake * 1_000_000
    while !handle.isReady {
      wake.drain()
      guard !handle.isOver else { throw NBDHandle.Failure(.io, "the server ended the connection") }
      guard !isEnding, monotonicNanoseconds() < deadline else {
        throw NBDHandle.Failure(.timedOut, "the server does not answer")
      }
      _ = try handle.step(wake, until: deadline)
    }
    return handle
  }
}
