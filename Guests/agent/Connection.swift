import System

/// One connection of the host's, in a process of its own: reads what is wanted, and does it.
struct Connection {
  let input: Int
  let output: Int

  func serve() {
    var reader = AgentFrameReader()
    guard let first = frame(&reader) else { return }
    switch first.kind {
    case .exec: exec(first.content, reader)
    case .files:
      var server = FileServer(input: input, output: output, received: reader.takeRest())
      server.run()
    case .watch:
      var watcher = Watcher(connection: self, reader: reader)
      watcher.run()
    case .powerOff:
      answer(to: [UInt8]("switching off")) { () throws(Failure) in
        try PowerSwitch.turn(restarts: first.content.first == 1)
      }
    case .setTime:
      answer(to: [UInt8]("setting the clock")) { () throws(Failure) in
        try setClock(first.content)
      }
    case .renew:
      answer(to: [UInt8]("becoming another machine")) { () throws(Failure) in
        guard let request = try? IdentityRequest(decoding: first.content) else {
          throw Failure(code: Failure.invalid)
        }
        try Identity.become(request)
      }
    default: fail(Failure(code: Failure.invalid), [UInt8]("reading what is wanted"))
    }
  }

  // MARK: - Frames

  /// The next frame; nil at the end, or when what came is none.
  func frame(_ reader: inout AgentFrameReader) -> AgentFrame? {
    while true {
      do { if let frame = try reader.next() { return frame } } catch { return nil }
      guard let bytes = try? Kernel.read(input, 64 << 10), !bytes.isEmpty else { return nil }
      reader.append(bytes[...])
    }
  }

  func send(_ kind: AgentFrameKind, _ content: [UInt8] = []) throws(Failure) {
    try Kernel.writeAll(output, AgentFrame(kind, content).encoded)
  }

  func fail(_ failure: Failure, _ what: [UInt8]) {
    var writer = AgentWriter()
    writer.integer(UInt32(truncatingIfNeeded: failure.code))
    writer.string(what)
    try? send(.failed, writer.bytes)
  }

  private func answer(to what: [UInt8], _ body: () throws(Failure) -> Void) {
    do throws(Failure) {
      try body()
      try send(.done)
    } catch { fail(error, what) }
  }

  // MARK: - What is wanted

  private func exec(_ content: [UInt8], _ reader: AgentFrameReader) {
    guard let request = try? ExecRequest(decoding: content) else {
      return fail(Failure(code: Failure.invalid), [UInt8]("reading the command"))
    }
    do throws(Failure) {
      let job = try Job(request)
      var relay = Relay(self, job, reader)
      try relay.run()
    } catch { fail(error, [UInt8]("starting the program")) }
  }

  private func setClock(_ content: [UInt8]) throws(Failure) {
    var reader = AgentReader(content)
    guard let nanoseconds = try? reader.integer(UInt64.self) else { throw Failure(code: Failure.invalid) }
    var time = agent_time(
      seconds: Int64(nanoseconds / 1_000_000_000), nanoseconds: Int64(nanoseconds % 1_000_000_000))
    let result = withUnsafeMutablePointer(to: &time) {
      agent_call(AGENT_SYS_clock_settime, 0, Int(bitPattern: $0), 0, 0, 0, 0)
    }
    if result < 0 { throw Failure(code: -result) }
  }
}

/// Has the guest's first process end the system.
enum PowerSwitch {
  /// systemd takes SIGRTMIN+4 and +5 for it (systemd(1)); of others it is known how they are asked: by their program.
  static func turn(restarts: Bool) throws(Failure) {
    let isSystemd = (try? Kernel.status([UInt8]("/run/systemd/system"))) != nil
    if isSystemd {
      try Kernel.call(AGENT_SYS_kill, 1, 34 + (restarts ? 5 : 4))
      return
    }
    // The first process of Volary's own images ends its job.
    let first = (try? Kernel.content([UInt8]("/proc/1/cmdline"))) ?? []
    if first.starts(with: "/usr/lib/volary/") { throw Failure(code: 95) }
    let program = restarts ? [UInt8]("/sbin/reboot") : [UInt8]("/sbin/poweroff")
    let job = try Job(ExecRequest(options: .noInput, arguments: [program]))
    _ = Kernel.reap(job.process, waits: true)
  }
}
