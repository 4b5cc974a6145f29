import Foundation
import Glibc
import HostSystem
import Testing

/// Sockets at paths, and the broker that opens them for a machine.
@Suite struct GuestPortTests {
  /// A folder that goes with the object, whose name leaves room for a socket's.
  final class Folder {
    let path = "/tmp/volary-\(UUID().uuidString.prefix(8))"
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }
    var content: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
  }

  static func wait(for condition: () -> Bool) -> Bool {
    let end = monotonicNanoseconds() + 10_000_000_000
    while !condition() {
      if monotonicNanoseconds() > end { return false }
      usleep(1000)
    }
    return true
  }

  /// A socket that a killed program left: bound, and then closed without being removed.
  static func leaveStale(at path: String) throws {
    let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(fd) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(status == 0)
  }

  // MARK: - Paths

  @Test func aListenersPathGoesWithIt() throws {
    let folder = try Folder()
    do {
      let listener = try UnixListener(path: "\(folder.path)/s")
      #expect(!listener.hasReplaced && folder.content == ["s"])
      var status = stat()
      #expect(lstat(listener.path, &status) == 0 && status.st_mode & 0o777 == 0o600, "its owner's alone")
      let program = try UnixSocket.connect(toPath: listener.path)
      let accepted = try #require(try listener.accept())
      try program.send([1, 2])
      #expect(try accepted.receive(capacity: 10).bytes == [1, 2])
      #expect(try listener.accept() == nil)
    }
    #expect(folder.content == [])
  }

  @Test func whatIsNotItsOwnStays() throws {
    let folder = try Folder()
    do {
      let listener = try UnixListener(path: "\(folder.path)/s")
      unlink(listener.path)
      try Data([1]).write(to: URL(fileURLWithPath: listener.path))
    }
    #expect(folder.content == ["s"])
  }

  @Test func aStaleSocketIsReplaced() throws {
    let folder = try Folder()
    try Self.leaveStale(at: "\(folder.path)/s")
    let listener = try UnixListener(path: "\(folder.path)/s")
    #expect(listener.hasReplaced)
    _ = try UnixSocket.connect(toPath: listener.path)
  }

  @Test func placesThatAreTakenAreNamed() throws {
    let folder = try Folder()
    let path = "\(folder.path)/s"
    let first = try UnixListener(path: path)
    #expect(throws: UnixListener.Failure.inUse) { try UnixListener(path: path) }
    _ = try UnixSocket.connect(toPath: first.path)
    let file = "\(folder.path)/file"
    try Data([1]).write(to: URL(fileURLWithPath: file))
    #expect(throws: UnixListener.Failure.isNoSocket) { try UnixListener(path: file) }
    #expect(throws: UnixListener.Failure.isNoSocket) { try UnixListener(path: folder.path) }
    #expect(throws: UnixListener.Failure.refused(.notFound)) {
      try UnixListener(path: "\(folder.path)/none/s")
    }
    for bad in ["", String(repeating: "x", count: 108), "a\u{0}b"] {
      #expect(throws: UnixListener.Failure.refused(Errno(ENAMETOOLONG))) { try UnixListener(path: bad) }
    }
  }

  // MARK: - The broker

  @Test func messagesAreReadAsTheyWereWritten() {
    let message = GuestPortMessage(request: 0x0102_0304, port: 0xF1F2_F3F4)
    #expect(message.encoded == [4, 3, 2, 1, 0xF4, 0xF3, 0xF2, 0xF1])
    #expect(GuestPortMessage(decoding: message.encoded) == message)
    #expect(GuestPortMessage(decoding: [1, 2, 3]) == nil)
  }

  @Test func programsAndPortsAreHandedOver() throws {
    let folder = try Folder()
    let path = "\(folder.path)/s"
    let (ours, machine) = try UnixSocket.pair(.sequencedPacket)
    let broker = try GuestPortBroker(listener: try UnixListener(path: path), machine: ours)
    func next() throws -> (GuestPortMessage, UnixSocket?) {
      #expect(try machine.waitUntilReadable(milliseconds: 60_000))
      let (bytes, descriptors) = try machine.receive(capacity: 64)
      return (try #require(GuestPortMessage(decoding: bytes)), descriptors.first.map { UnixSocket($0) })
    }
    let program = try UnixSocket.connect(toPath: path)
    let (message, socket) = try next()
    #expect(message == GuestPortMessage(request: 0))
    try program.send([7])
    #expect(try socket?.receive(capacity: 4).bytes == [7])

    let port = try UnixListener(path: "\(path)_81")
    try machine.send(GuestPortMessage(request: 5, port: 81).encoded)
    try machine.send(GuestPortMessage(request: 6, port: 80).encoded)
    try machine.send([1])
    let (answer, connected) = try next()
    #expect(answer.request == 5)
    let accepted = try #require(try port.accept())
    try accepted.send([8])
    #expect(try connected?.receive(capacity: 4).bytes == [8])
    let (refusal, nobody) = try next()
    #expect(refusal.request == 6 && nobody == nil)

    broker.stop()
    #expect(!folder.content.contains("s"))
    #expect(throws: Errno.notFound) { try UnixSocket.connect(toPath: path) }
  }

  /// A machine that takes nothing makes programs wait, and loses none.
  @Test func aMachineThatIsBusyIsWaitedFor() throws {
    let folder = try Folder()
    let path = "\(folder.path)/s"
    let (ours, machine) = try UnixSocket.pair(.sequencedPacket)
    let broker = try GuestPortBroker(listener: try UnixListener(path: path), machine: ours)
    var programs: [UnixSocket] = []
    var came = 0
    var refusals = 0
    while programs.count < 600 {
      do {
        let program = try UnixSocket.connect(toPath: path)
        try program.send([UInt8(truncatingIfNeeded: programs.count)])
        programs.append(program)
      } catch {
        // The line of those who wait is full: one goes in.
        #expect(error == .again)
        refusals += 1
        guard try machine.waitUntilReadable(milliseconds: 60_000) else { break }
        let socket = UnixSocket(try #require(try machine.receive(capacity: 64).descriptors.first))
        #expect(try socket.receive(capacity: 1).bytes == [UInt8(truncatingIfNeeded: came)])
        came += 1
      }
    }
    #expect(refusals > 0)
    while came < programs.count {
      try #require(try machine.waitUntilReadable(milliseconds: 60_000))
      let socket = UnixSocket(try #require(try machine.receive(capacity: 64).descriptors.first))
      #expect(try socket.receive(capacity: 1).bytes == [UInt8(truncatingIfNeeded: came)])
      came += 1
    }
    broker.stop()
  }

  @Test func itEndsWithTheMachine() throws {
    let folder = try Folder()
    var pair: (UnixSocket, UnixSocket)? = try UnixSocket.pair(.sequencedPacket)
    let machine = Descriptor(owning: dup(pair!.1.descriptor.raw))
    let broker = try GuestPortBroker(
      listener: try UnixListener(path: "\(folder.path)/s"), machine: pair!.0)
    pair = nil
    #expect(folder.content == ["s"])
    _ = consume machine
    #expect(Self.wait { folder.content.isEmpty })
    _ = broker
  }
}
