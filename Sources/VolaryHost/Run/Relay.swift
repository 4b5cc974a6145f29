import Glibc
import HostSystem

/// Carries bytes from one descriptor to another as both become ready, with bounded room between.
struct Relay {
  private static let room = 64 << 10
  /// What a pipe or terminal that is ready takes without blocking (PIPE_BUF).
  private static let portion = 4096

  let source: Int32
  private let sink: Int32
  private let finish: () -> Void
  private var waiting: [UInt8] = []
  private(set) var sourceEnded = false
  /// The sink takes no more, for this reason; what comes is thrown away.
  private(set) var sinkFailure: Errno?
  private var isFinished = false

  /// `finish` is called once, when the source has ended and all of it was passed on.
  init(from source: Int32, to sink: Int32, finish: @escaping () -> Void = {}) {
    self.source = source
    self.sink = sink
    self.finish = finish
  }

  /// The source has ended and all of it was passed on.
  var isDone: Bool { sourceEnded && waiting.isEmpty }

  var wantsSource: Bool { !sourceEnded && waiting.count < Self.room }
  var wantsSink: Bool { !waiting.isEmpty }

  /// The entries to poll for.
  var pollEntries: [pollfd] {
    var entries: [pollfd] = []
    if wantsSource { entries.append(pollfd(fd: source, events: Int16(POLLIN), revents: 0)) }
    if wantsSink { entries.append(pollfd(fd: sink, events: Int16(POLLOUT), revents: 0)) }
    return entries
  }

  /// Moves what can be moved now. `isReady` tells of a descriptor and events whether poll(2) named it;
  /// `transform` sees what came, and may change it.
  mutating func move(isReady: (Int32, Int16) -> Bool, transform: (inout [UInt8]) -> Void = { _ in }) {
    if wantsSource, isReady(source, Int16(POLLIN)) {
      takeIn(transform)
    }
    if wantsSink, isReady(sink, Int16(POLLOUT)) { passOn() }
    if isDone && !isFinished {
      isFinished = true
      finish()
    }
  }

  private mutating func takeIn(_ transform: (inout [UInt8]) -> Void) {
    guard var bytes = Self.read(source) else { return }
    if bytes.isEmpty {
      sourceEnded = true
      return
    }
    transform(&bytes)
    if sinkFailure == nil { waiting += bytes }
  }

  private mutating func passOn() {
    let written = waiting.withUnsafeBytes { Glibc.write(sink, $0.baseAddress, min($0.count, Self.portion)) }
    if written > 0 {
      waiting.removeFirst(written)
    } else if written < 0, errno != EAGAIN, errno != EINTR {
      sinkFailure = Errno(errno)
      waiting = []
    }
  }

  /// What is there, no bytes at the end, nil when nothing is there yet.
  static func read(_ source: Int32) -> [UInt8]? {
    var count = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, initialized in
      count = Glibc.read(source, buffer.baseAddress, buffer.count)
      initialized = max(0, count)
    }
    if count < 0 && (errno == EAGAIN || errno == EINTR) { return nil }
    // An error at reading (EIO of a terminal that hung up, ECONNRESET) is an end too.
    return bytes
  }
}
