internal import Glibc
internal import HostSystem
internal import MachineControl
internal import Synchronization

/// Stands in for `volary-machine`. Its guest is the "kernel" file: one word that says how to behave.
final class FakeMachine: MachineControlHandler, @unchecked Sendable {  // set up before its thread starts
  static func run(controlDescriptor: Int32) -> Int32 {
    let socket = UnixSocket(Descriptor(owning: controlDescriptor))
    do {
      let server = try ControlServer(socket)
      try server.serve(FakeMachine(server, socket))
    } catch { return 3 }
    return 0
  }

  private let server: ControlServer
  private let socket: UnixSocket
  private var script: [String] = []
  private var streams: [String: UnixSocket] = [:]
  /// Open as long as the machine lives, as a real one has them.
  private var descriptors: [Descriptor] = []

  private init(_ server: ControlServer, _ socket: UnixSocket) {
    self.server = server
    self.socket = socket
  }

  func configure(_ configuration: MachineConfiguration, descriptors: [Descriptor]) throws(ControlFailure) {
    self.descriptors = descriptors
    var buffer = [UInt8](repeating: 0, count: 200)
    let kernel = configuration.boot.kernel?.file ?? 0
    let count = (try? buffer.withUnsafeMutableBytes { try descriptors[kernel].read(into: $0) }) ?? 0
    script = String(decoding: buffer[..<count], as: UTF8.self).split(whereSeparator: \.isWhitespace).map(
      String.init)
    if script.first == "refuse" {
      throw ControlFailure(
        .hostRefused, phase: "mapping the guest's memory", message: "Cannot allocate memory")
    }
    for port in configuration.consolePorts { streams[port.name] = UnixSocket(descriptors[port.stream]) }
    if let serial = configuration.serial { streams["serial"] = UnixSocket(descriptors[serial]) }
  }

  func checkpoint(_ checkpoint: Checkpoint, descriptors: [Descriptor]) throws(ControlFailure) -> [Descriptor]
  {
    []
  }

  func revert(_ reversion: Reversion, descriptors: [Descriptor]) throws(ControlFailure) {
    throw ControlFailure(.unsupported, phase: "going back", message: "the machine is a fake")
  }

  func start() throws(ControlFailure) {
    server.send(.started)
    _ = try? HostSystem.Thread.start(name: "guest") { self.runScript() }
  }

  private func runScript() {
    say("serial", "[    0.000000] Linux version 0.0 (fake)\r\n")
    switch script.first {
    case "exit":
      say("org.volary.control", "ready\n")
      finish(script[1])
    case "cat":
      say("org.volary.control", "ready\n")
      while let packet = try? streams["org.volary.stdin"]?.receive(capacity: 4096), !packet.bytes.isEmpty {
        _ = try? streams["org.volary.stdout"]?.send(packet.bytes)
      }
      say("org.volary.stderr", "end of input\n")
      finish("0")
    case "flood":
      say("org.volary.control", "ready\n")
      let block = [UInt8](repeating: UInt8(ascii: "x"), count: 4095) + [10]
      for _ in 0..<1024 { _ = try? streams["org.volary.stdout"]?.send(block) }
      finish("0")
    case "panic":
      say("serial", "[    1.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n")
      server.send(.guestReset)
      exit(0)
    case "standstill":
      say("serial", "[    1.0] Kernel panic - not syncing: no init\r\n")
      say("serial", "[    1.0] ---[ end Kernel panic - not syncing: no init ]---\r\n")
    case "restart":
      // Ends by the controller's word alone.
      for _ in 0..<15 {
        say("serial", "hello\r\n")
        server.send(.guestReset)
      }
    case "crash":
      say("serial", "the last words of the guest\n")
      abort()
    case "garbage":
      _ = try? socket.send(Array("nonsense".utf8))
    case "stops":
      say("org.volary.control", "stops\nready\n")
      say("org.volary.stdout", "up\n")
      while let packet = try? streams["org.volary.control"]?.receive(capacity: 64), !packet.bytes.isEmpty {
        say("org.volary.stdout", "heard " + String(decoding: packet.bytes, as: UTF8.self))
        if script.last == "obediently" { finish("99") }
      }
    case "shell":
      say("org.volary.control", "ready\n")
      runShell()
    default: break  // never comes up
    }
  }

  func resizeConsole(columns: UInt16, rows: UInt16) throws(ControlFailure) {
    say("org.volary.console", "<\(columns)x\(rows)>")
  }

  func stop() throws(ControlFailure) {}
  func kill() throws(ControlFailure) { exit(0) }
  func pause() throws(ControlFailure) {}
  func resume() throws(ControlFailure) {}
  func reset() throws(ControlFailure) {}
  func limitDisk(_ serial: String, _ rates: DiskRates) throws(ControlFailure) {}
  func resizeDisk(_ serial: String, to size: UInt64) throws(ControlFailure) {}
  func setBalloon(target: UInt64) throws(ControlFailure) {}
  func status() throws(ControlFailure) -> MachineStatus { MachineStatus(state: .running) }
  func attachConsole(_ stream: UnixSocket, backlog: UInt32) throws(ControlFailure) {}
  func attach(_ stream: UnixSocket, toPort name: String) throws(ControlFailure) {}
  func attach(_ connection: UnixSocket, toDisk serial: String) throws(ControlFailure) {}
  func attachBroker(_ broker: UnixSocket) throws(ControlFailure) {}

  private func say(_ stream: String, _ text: String) { _ = try? streams[stream]?.send(Array(text.utf8)) }

  private func finish(_ code: String) {
    say("org.volary.control", "exit \(code)\n")
    server.send(.guestPoweredOff(code: nil))
    exit(0)
  }

  /// Answers every key in capitals; `q` ends with 3, `c` crashes.
  private func runShell() {
    say("org.volary.console", "welcome\r\n")
    while let packet = try? streams["org.volary.console"]?.receive(capacity: 64), !packet.bytes.isEmpty {
      if packet.bytes.contains(UInt8(ascii: "c")) { abort() }
      say("org.volary.console", String(decoding: packet.bytes, as: UTF8.self).uppercased())
      if packet.bytes.contains(UInt8(ascii: "q")) { finish("3") }
    }
  }
}
