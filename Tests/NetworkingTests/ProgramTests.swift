import Glibc
import HostSystem
import MachineControl
import Networking
import Testing

/// The executable `volary-nat`, as a machine's starter sees it.
@Suite struct ProgramTests {
  /// A running volary-nat: the guest's end of the frames, and what it says.
  struct Program {
    let process: ChildProcess
    let frames: Descriptor
    let status: Descriptor
    let errors: Descriptor

    /// The exit code, when it has ended; less than zero for a signal, and for one that does not end and is killed.
    func wait() throws -> Int32 {
      switch process.wait(milliseconds: 120_000) {
      case .code(let code): return code
      case .signal(let number): return -number
      case nil:
        process.terminate()
        return -SIGKILL
      }
    }
  }

  /// Starts the program next to this test's own, with frames on 3 and the status on 4.
  static func start(_ arguments: [String]) throws -> Program {
    var path = [UInt8](repeating: 0, count: 4096)
    let count = path.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
    let directory = String(decoding: path[..<count], as: UTF8.self).split(separator: "/").dropLast()
    let program = "/" + directory.joined(separator: "/") + "/volary-nat"
    let (guest, host) = try Guest.socketPair()
    let (statusEnd, status) = try Guest.socketPair(SOCK_STREAM)
    let (errorEnd, errors) = try Guest.socketPair(SOCK_STREAM)
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let process = try ChildProcess(
      path: program, arguments: [program] + arguments, descriptors: [null, null, errors, host, status])
    return Program(process: process, frames: guest, status: statusEnd, errors: errorEnd)
  }

  static func text(_ descriptor: Descriptor) throws -> String {
    String(decoding: try HostSockets.readAll(descriptor), as: UTF8.self)
  }

  @Test func `ready, frames, confinement, end`() throws {
    let port = try HostSockets.freePort()
    let program = try Self.start([
      "--frames", "3", "--status", "4", "--publish", "127.0.0.1:\(port):80", "--hostname", "bird",
    ])
    #expect(try Self.text(program.status) == "ready\n")
    do {
      let guest = Guest(socket: program.frames)
      #expect(try guest.resolve(IPv4Address(10, 0, 2, 2)) == [0x52, 0x55, 10, 0, 2, 2])
      // The port is bound, and the program has no rights left.
      let client = try HostSockets.connected(SOCK_STREAM, to: port)
      try HostSockets.write(Array("ping".utf8), to: client)
      var connection = try Connection(guest, listeningOn: 80)
      try connection.read { $0.count >= 4 }
      #expect(connection.received == Array("ping".utf8))
      let state = try Self.text(Descriptor.open("/proc/\(program.process.identifier)/status", O_RDONLY))
      #expect(state.contains("NoNewPrivs:\t1\n"))
      #expect(state.contains("Seccomp:\t2\n"))
      #expect(state.contains("CapEff:\t0000000000000000\n") && state.contains("CapPrm:\t0000000000000000\n"))
      if geteuid() == 0 { #expect(state.contains("Uid:\t65534\t65534\t65534\t65534\n")) }
      // A connection out, with the rights that are left.
      let (listener, number) = try HostSockets.bound(SOCK_STREAM)
      let server = try HostSockets.serveOnce([7, 7, 7], on: listener)
      var out = try Connection(guest, to: IPv4Address(10, 0, 2, 2), port: number, from: 40000)
      try out.write(Array("GET / HTTP/1.0\r\n\r\n".utf8))
      try out.read()
      try out.close()
      #expect(out.received.suffix(3) == [7, 7, 7])
      server.join()
    }
    shutdown(program.frames.raw, Int32(SHUT_RDWR))
    #expect(try program.wait() == 0)
    #expect(try Self.text(program.errors) == "")
  }

  @Test func `a port in use is told before the machine starts`() throws {
    let (holder, port) = try HostSockets.bound(SOCK_STREAM)
    let program = try Self.start(["--frames", "3", "--status", "4", "--publish", "\(port):80"])
    #expect(try program.wait() == 5)
    let status = try Self.text(program.status)
    #expect(status.hasPrefix("error: port \(port) of 127.0.0.1 (tcp) is in use"))
    #expect(status.split(separator: "\n").count == 1 && status.hasSuffix("\n"))
    #expect(holder.raw >= 0)
  }

  @Test(arguments: [
    [], ["--frames"], ["--frames", "x"], ["--frames", "3", "--publish", "80"], ["--frames", "3", "--frills"],
    ["--frames", "3", "--network", "10.0.2.0"], ["--frames", "3", "--mtu", "1"], ["--frames", "0"],
  ])
  func `wrong usage`(arguments: [String]) throws {
    let program = try Self.start(["--status", "4"] + arguments)
    #expect([1, 2].contains(try program.wait()))
    #expect(try Self.text(program.status).hasPrefix("error: "))
    #expect(try Self.text(program.errors).hasPrefix("volary-nat: "))
  }
}
