import Glibc
import HostSystem
import Testing

@Suite struct ProcessTests {
  private func openNull() throws -> Descriptor { try Descriptor.open("/dev/null", O_RDWR) }

  @Test func tellsHowAProcessEnded() throws {
    let null = try openNull()
    let coded = try ChildProcess(
      path: "/bin/sh", arguments: ["sh", "-c", "exit 7"], descriptors: [null, null, null])
    #expect(coded.wait(milliseconds: 60_000) == .code(7))
    let killed = try ChildProcess(
      path: "/bin/sh", arguments: ["sh", "-c", "kill -TERM $$"], descriptors: [null, null, null])
    #expect(killed.wait(milliseconds: 60_000) == .signal(SIGTERM))
    let endless = try ChildProcess(
      path: "/bin/sleep", arguments: ["sleep", "1000"], descriptors: [null, null, null])
    #expect(endless.wait(milliseconds: 10) == nil)
    endless.terminate()
    #expect(endless.exit == .signal(SIGKILL))
    #expect(throws: Errno.notFound) {
      try ChildProcess(path: "/nonexistent", arguments: ["x"], descriptors: [null])
    }
  }

  /// The child lists its own descriptors: those it was given, and the one that lists.
  @Test func givesOnlyTheNamedDescriptors() throws {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    let null = try openNull()
    let child = try ChildProcess(
      path: "/bin/ls", arguments: ["ls", "/proc/self/fd"],
      descriptors: [null, theirs.descriptor, null, theirs.descriptor, null])
    #expect(child.wait(milliseconds: 60_000) == .code(0))
    let listed = String(decoding: try ours.receive(capacity: 4096).bytes, as: UTF8.self)
    #expect(listed == "0\n1\n2\n3\n4\n5\n")
  }

  @Test func worksInTheFolderThatIsNamed() throws {
    let (reading, writing) = try Descriptor.pipe()
    let null = try openNull()
    let child = try ChildProcess(
      path: "/bin/pwd", arguments: ["pwd", "-P"], descriptors: [null, writing, null], folder: "/usr/bin")
    #expect(child.wait(milliseconds: 60_000) == .code(0))
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = try bytes.withUnsafeMutableBytes { try reading.read(into: $0) }
    #expect(String(decoding: bytes[..<count], as: UTF8.self) == "/usr/bin\n")
    #expect(throws: Errno.notFound) {
      try ChildProcess(path: "/bin/pwd", arguments: ["pwd"], descriptors: [null], folder: "/nonexistent")
    }
  }

  /// A pipe ends with our own end of it, whoever else starts programs meanwhile, and however.
  @Test func pipesAreNobodyElses() throws {
    let (reading, writing) = try Descriptor.pipe()
    for end in [reading, writing] { #expect(fcntl(end.raw, F_GETFD) & FD_CLOEXEC != 0) }
  }

  @Test func endsWithTheThreadThatStartedIt() throws {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    let null = try openNull()
    let done = UnixSocket(theirs.descriptor)
    let thread = try HostSystem.Thread.start(name: "parent") {
      guard
        let child = try? ChildProcess(
          path: "/bin/sleep", arguments: ["sleep", "1000"], descriptors: [null, null, null])
      else { return }
      withUnsafeBytes(of: child.identifier) { _ = try? done.send($0) }
      // Kept, so that it is the kernel that ends the process.
      _ = Unmanaged.passRetained(child)
    }
    thread.join()
    let bytes = try ours.receive(capacity: 4).bytes
    let pid = try #require(
      bytes.count == 4 ? bytes.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) } : nil)
    var status: Int32 = 0
    var ended: Int32 = 0
    for _ in 0..<1000 where ended == 0 {
      ended = waitpid(pid, &status, WNOHANG)
      usleep(10_000)
    }
    #expect(ended == pid)
    #expect(status & 0x7f == SIGKILL)
    if ended == 0 { kill(pid, SIGKILL) }
  }

  /// One that is to outlive us goes on without the thread that started it, and without its object.
  @Test func outlivesTheThreadThatStartedIt() throws {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    let null = try openNull()
    let thread = try HostSystem.Thread.start(name: "parent") {
      let child = try? ChildProcess(
        path: "/bin/cat", arguments: ["cat"], descriptors: [theirs.descriptor, theirs.descriptor, null],
        outlivesStarter: true)
      withUnsafeBytes(of: child?.identifier ?? 0) { _ = try? theirs.send($0) }
    }
    thread.join()
    usleep(20_000)
    // What it is sent comes back, and then what was sent for it.
    let bytes = try ours.receive(capacity: 4).bytes
    let pid = bytes.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
    try #require(pid > 0)
    try ours.send([7])
    #expect(try ours.waitUntilReadable(milliseconds: 60_000))
    #expect(try ours.receive(capacity: 4).bytes == [7])

    // Whoever has its number and the time of its start may end it, and nobody else.
    let identity = try #require(ForeignProcess.Identity(of: pid))
    let other = ForeignProcess.Identity(identifier: pid, startTime: identity.startTime + 1)
    #expect(try ForeignProcess(other) == nil)
    let process = try #require(try ForeignProcess(identity))
    #expect(!process.hasEnded(within: 10))
    try process.signal(SIGKILL)
    #expect(process.hasEnded(within: 60_000))
    waitpid(pid, nil, 0)
    try process.signal(SIGKILL)
    #expect(try ForeignProcess(identity) == nil)
  }

  @Test func knowsProcessesByTheirStart() throws {
    let own = try #require(ForeignProcess.Identity(of: getpid()))
    #expect(own == ForeignProcess.Identity(of: getpid()))
    let first = try #require(ForeignProcess.Identity(of: 1))
    #expect(first.startTime <= own.startTime)
    #expect(ForeignProcess.Identity(of: .max) == nil)
  }

  @Test func passesDescriptorsOverASocket() throws {
    let (a, b) = try UnixSocket.pair(.sequencedPacket)
    let file = try Descriptor.memory(name: "passed")
    try file.truncate(to: 12_345)
    try a.send([1, 2, 3], descriptors: Array(repeating: file, count: UnixSocket.mostDescriptors))
    let packet = try b.receive(capacity: 16)
    #expect(packet.bytes == [1, 2, 3])
    #expect(packet.descriptors.count == UnixSocket.mostDescriptors)
    #expect(try packet.descriptors.allSatisfy { try $0.size() == 12_345 && $0.raw != file.raw })
    a.finishSending()
    #expect(try b.receive(capacity: 16).bytes.isEmpty)
  }

  @Test func queuesSignals() throws {
    // In a thread of its own, whose mask this changes.
    let (ours, theirs) = try UnixSocket.pair(.stream)
    let thread = try HostSystem.Thread.start(name: "signals") {
      guard let queue = try? SignalQueue([SIGWINCH]) else { return }
      pthread_kill(pthread_self(), SIGWINCH)
      _ = try? theirs.send([UInt8(queue.next() ?? 0), UInt8(queue.next() ?? 0)])
    }
    thread.join()
    #expect(try ours.receive(capacity: 2).bytes == [UInt8(SIGWINCH), 0])
  }
}
