import System

/// A guest's agent: waits at a port of the guest's socket device for what the host wants of it.
///
///     agent            listens; root's, started by the guest's first process
///     agent --stdio    serves one connection on its standard input and output
///     agent --files    the same, and what it serves is files (SFTP, as with sftp -D)
///
/// Each connection is a process of its own, so that one can neither hold up another nor leave anything behind.
@main
struct Agent {
  static func main() {
    Kernel.handle(Kernel.Signals.pipe, by: 1)
    if isAsked(for: "--stdio") {
      Connection(input: 0, output: 1).serve()
    } else if isAsked(for: "--files") {
      var server = FileServer(input: 0, output: 1)
      server.run()
    } else {
      listen()
    }
  }

  private static func isAsked(for option: StaticString) -> Bool {
    guard let word = agent_option() else { return false }
    return option.withUTF8Buffer { option in
      (0..<option.count).allSatisfy { word[$0] == Int8(bitPattern: option[$0]) } && word[option.count] == 0
    }
  }

  // AF_VSOCK, and any address of the guest's own (vm_sockets.h).
  private static let family: UInt16 = 40
  private static let anyAddress: UInt32 = .max
  private static let host: UInt32 = 2

  private static func listen() -> Never {
    // Whoever ends is forgotten without being asked after.
    Kernel.handle(Kernel.Signals.child, by: 1)
    while true {
      do throws(Failure) {
        let socket = try openPort()
        while true { try accept(socket) }
      } catch {
        // The driver may come later than we do.
        pause(milliseconds: 500)
      }
    }
  }

  private static func openPort() throws(Failure) -> Int {
    let socket = try Kernel.call(AGENT_SYS_socket, Int(family), 1 | Kernel.OpenFlags.closeOnExec)
    var address = agent_vsock_address()
    address.family = family
    address.port = AgentProtocol.port
    address.cid = anyAddress
    let result = withUnsafeMutablePointer(to: &address) {
      agent_call(AGENT_SYS_bind, socket, Int(bitPattern: $0), MemoryLayout<agent_vsock_address>.size, 0, 0, 0)
    }
    let listening = result < 0 ? result : agent_call(AGENT_SYS_listen, socket, 64, 0, 0, 0, 0)
    if listening < 0 {
      Kernel.close(socket)
      throw Failure(code: -listening)
    }
    return socket
  }

  private static func accept(_ listener: Int) throws(Failure) {
    var address = agent_vsock_address()
    var size: UInt32 = UInt32(MemoryLayout<agent_vsock_address>.size)
    let socket = withUnsafeMutablePointer(to: &address) { address in
      withUnsafeMutablePointer(to: &size) { size in
        agent_call(
          AGENT_SYS_accept, listener, Int(bitPattern: address), Int(bitPattern: size),
          Kernel.OpenFlags.closeOnExec, 0, 0)
      }
    }
    if socket < 0 {
      // Its peer has gone, or there are too many files for the moment.
      pause(milliseconds: 20)
      return
    }
    defer { Kernel.close(socket) }
    // The guest's own programs reach this port too, over the loopback; they may not.
    guard address.cid == host else { return }
    if agent_fork() == 0 {
      Kernel.close(listener)
      Kernel.handle(Kernel.Signals.child, by: 0)
      Connection(input: socket, output: socket).serve()
      Kernel.exit(0)
    }
  }

  static func pause(milliseconds: Int) {
    var none: [agent_poll] = []
    _ = try? Kernel.poll(&none, milliseconds: milliseconds)
  }
}
