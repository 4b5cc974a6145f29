import System

/// Carries a job's streams between its process and the host, until it has ended and its output was sent.
struct Relay {
  /// Bytes for the host that may wait before no more output is taken.
  private static let mostWaiting = 128 << 10
  /// Milliseconds between two looks for the job's end where the kernel cannot tell of it.
  private static let look = 20
  /// pidfd_open(2), the same number on every architecture.
  private static let pidfdOpen = 434

  private let connection: Connection
  private var job: Job
  private var reader: AgentFrameReader
  /// Frames for the host.
  private var waiting: [UInt8] = []
  /// Input that the program has not taken.
  private var input: [UInt8] = []
  private var inputEnds = false
  private var output: Int?
  private var errors: Int?
  private var isConnected = true
  /// Readable when the process has ended.
  private let endSign: Int?
  private var status: Int?

  init(_ connection: Connection, _ job: Job, _ reader: AgentFrameReader) {
    self.connection = connection
    self.job = job
    self.reader = reader
    output = job.output
    errors = job.errors
    endSign = try? Kernel.call(Self.pidfdOpen, job.process, 0)
  }

  mutating func run() throws(Failure) {
    Kernel.setNonblocking(connection.input)
    Kernel.setNonblocking(connection.output)
    Kernel.setNonblocking(job.output)
    if let input = job.input { Kernel.setNonblocking(input) }
    if let errors = job.errors { Kernel.setNonblocking(errors) }
    var number = AgentWriter()
    number.integer(UInt32(truncatingIfNeeded: job.process))
    queue(.started, number.bytes)
    // What came with the request.
    readFrames()
    while status == nil, isConnected { try step() }
    if !isConnected { return hangUp() }
    // What it wrote before its end is there by now; who has the pipe still open is not waited for.
    drain()
    var code = AgentWriter()
    let raw = status ?? 0
    code.integer(UInt8(truncatingIfNeeded: raw & 0x7f == 0 ? raw >> 8 & 0xff : 128 + raw & 0x7f))
    queue(.ended, code.bytes)
    while isConnected, !waiting.isEmpty { try step() }
  }

  /// The host is gone: so is the terminal, and the program is told.
  private func hangUp() {
    _ = agent_call(AGENT_SYS_kill, -job.process, Kernel.Signals.hangUp, 0, 0, 0, 0)
  }

  // MARK: - One round

  private enum Role { case end, host, hostWriting, input, output, errors }

  private mutating func step() throws(Failure) {
    var entries: [agent_poll] = []
    var roles: [Role] = []
    func watch(_ descriptor: Int?, _ events: Int16, _ role: Role) {
      guard let descriptor else { return }
      entries.append(
        agent_poll(descriptor: Int32(truncatingIfNeeded: descriptor), events: events, revents: 0))
      roles.append(role)
    }
    let toRead: Int16 = 1
    let toWrite: Int16 = 4
    if status == nil { watch(endSign, toRead, .end) }
    watch(connection.input, toRead, .host)
    if !waiting.isEmpty { watch(connection.output, toWrite, .hostWriting) }
    if !input.isEmpty { watch(job.input, toWrite, .input) }
    if waiting.count < Self.mostWaiting, status == nil {
      watch(output, toRead, .output)
      watch(errors, toRead, .errors)
    }
    let limit = status == nil && endSign == nil ? Self.look : -1
    _ = try Kernel.poll(&entries, milliseconds: limit)
    for (index, entry) in entries.enumerated() where entry.revents != 0 {
      switch roles[index] {
      case .end: break
      case .host: readHost()
      case .hostWriting: flush()
      case .input: writeInput()
      case .output: readOutput()
      case .errors: readErrors()
      }
    }
    if status == nil { status = Kernel.reap(job.process) }
  }

  /// Takes what there is at once; what does not fit is sent as it goes.
  private mutating func drain() {
    while isConnected, output != nil || errors != nil {
      let hasMore = (readOutput(), readErrors())
      if !hasMore.0, !hasMore.1 { return }
      while isConnected, waiting.count >= Self.mostWaiting { try? step() }
    }
  }

  // MARK: - The host

  private mutating func queue(_ kind: AgentFrameKind, _ content: [UInt8]) {
    waiting.append(contentsOf: AgentFrame(kind, content).encoded)
    flush()
  }

  private mutating func flush() {
    var sent = 0
    while sent < waiting.count {
      do throws(Failure) { sent += try Kernel.write(connection.output, waiting[sent...]) } catch {
        if error.code != Failure.again { isConnected = false }
        break
      }
    }
    waiting.removeFirst(sent)
  }

  private mutating func readHost() {
    do throws(Failure) {
      let bytes = try Kernel.read(connection.input, 64 << 10)
      if bytes.isEmpty {
        isConnected = false
        return
      }
      reader.append(bytes[...])
    } catch {
      if error.code != Failure.again { isConnected = false }
      return
    }
    readFrames()
  }

  private mutating func readFrames() {
    while true {
      let frame: AgentFrame
      do {
        guard let next = try reader.next() else { return }
        frame = next
      } catch {
        isConnected = false
        return
      }
      take(frame)
    }
  }

  private mutating func take(_ frame: AgentFrame) {
    var content = AgentReader(frame.content)
    switch frame.kind {
    case .input:
      guard job.input != nil, !inputEnds else { return }
      // The host was told how much there is room for.
      guard input.count + frame.content.count <= 2 * AgentProtocol.inputWindow else {
        isConnected = false
        return
      }
      input.append(contentsOf: frame.content)
      writeInput()
    case .inputEnd:
      inputEnds = true
      closeInputIfDone()
    case .resize:
      guard let columns = try? content.integer(UInt16.self), let rows = try? content.integer(UInt16.self)
      else { return }
      if job.isTerminal { Job.setSize(job.output, columns: columns, rows: rows) }
    case .signal:
      guard let number = try? content.integer(UInt8.self) else { return }
      // It may not have come to be a group's leader yet.
      if agent_call(AGENT_SYS_kill, -job.process, Int(number), 0, 0, 0, 0) < 0 {
        _ = agent_call(AGENT_SYS_kill, job.process, Int(number), 0, 0, 0, 0)
      }
    default: isConnected = false
    }
  }

  // MARK: - The program

  private mutating func writeInput() {
    guard let descriptor = job.input else { return }
    var taken = 0
    while taken < input.count {
      do throws(Failure) { taken += try Kernel.write(descriptor, input[taken...]) } catch {
        // It reads no more: what comes for it goes nowhere.
        if error.code != Failure.again { taken = input.count }
        break
      }
    }
    guard taken > 0 else { return closeInputIfDone() }
    input.removeFirst(taken)
    var room = AgentWriter()
    room.integer(UInt32(truncatingIfNeeded: taken))
    queue(.room, room.bytes)
    closeInputIfDone()
  }

  /// A terminal has no end of input; who is at it types one.
  private mutating func closeInputIfDone() {
    guard inputEnds, input.isEmpty, !job.isTerminal, let descriptor = job.input else { return }
    Kernel.close(descriptor)
    job.input = nil
  }

  /// True when there was something.
  @discardableResult
  private mutating func readOutput() -> Bool {
    guard let open = output else { return false }
    let outcome = read(open, .output)
    if outcome == .ended { output = nil }
    return outcome == .taken
  }

  @discardableResult
  private mutating func readErrors() -> Bool {
    guard let open = errors else { return false }
    let outcome = read(open, .errors)
    if outcome == .ended { errors = nil }
    return outcome == .taken
  }

  private enum ReadOutcome { case taken, nothing, ended }

  /// EIO means that nobody has the terminal open any more.
  private mutating func read(_ descriptor: Int, _ kind: AgentFrameKind) -> ReadOutcome {
    do throws(Failure) {
      let bytes = try Kernel.read(descriptor, AgentProtocol.outputPiece)
      if bytes.isEmpty { return .ended }
      queue(kind, bytes)
      return .taken
    } catch { return error.code == Failure.again ? .nothing : .ended }
  }
}
