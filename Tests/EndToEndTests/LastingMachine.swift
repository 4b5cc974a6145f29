import Foundation
import Glibc
import HostSystem
import MachineControl
import Testing

/// A `volary-machine` with a listener, as a daemon starts it: it outlives whoever controls it.
final class LastingMachine {
  let folder = TestFolder()
  let process: ChildProcess
  let record: Descriptor
  let consoleLog: Descriptor
  /// The first controller's end; to be forgotten by tests that go away.
  var control: ControlClient?

  var path: String { "\(folder.path)/control" }

  /// Starts the process and, if wanted, has it build a machine with a kernel, the tiny one if no other.
  init(
    isConfigured: Bool = true, kernel: Descriptor? = nil,
    change: (inout MachineConfiguration, inout [Descriptor]) throws -> Void = { _, _ in }
  )
    throws
  {
    signal(SIGPIPE, SIG_IGN)
    let listener = try UnixListener(path: "\(folder.path)/control", .sequencedPacket)
    let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
    let null = try Descriptor.open("/dev/null", O_RDWR)
    let log = try Descriptor.open("\(folder.path)/log", O_WRONLY | O_CREAT)
    record = try Descriptor.open("\(folder.path)/record", O_RDWR | O_CREAT)
    consoleLog = try Descriptor.open("\(folder.path)/console", O_RDWR | O_CREAT)
    process = try ChildProcess(
      path: "\(Bench.programs)/volary-machine",
      arguments: ["volary-machine", "--control", "3", "--listener", "4"],
      descriptors: [null, log, log, theirs.descriptor, listener.descriptor], outlivesStarter: true)
    listener.leave()
    let client = ControlClient(ours)
    control = client
    guard isConfigured else { return }
    let tiny = try Descriptor.memory(name: "kernel")
    try tiny.writeAll(TinyImage.file[...], at: 0)
    var descriptors = [kernel ?? tiny, record, consoleLog]
    var configuration = MachineConfiguration(
      name: "lasting", engine: .interpreter, memory: 64 << 20, boot: .kernel(.init(0)), record: 1,
      consoleLog: 2)
    try change(&configuration, &descriptors)
    try client.configure(configuration, descriptors: descriptors)
  }

  deinit { process.terminate() }

  func start() throws { try control?.call(.start) }

  func connect() throws -> ControlClient { try ControlClient(connectingTo: path) }

  func status(_ client: ControlClient) throws -> MachineStatus {
    guard case .status(let status) = try client.call(.status) else { throw Errno(EPROTO) }
    return status
  }

  /// What the process said on standard error.
  var words: String { (try? String(contentsOfFile: "\(folder.path)/log", encoding: .utf8)) ?? "" }

  func lastOutput(_ count: Int) throws -> String {
    String(decoding: try ConsoleRing.read(last: count, from: consoleLog).bytes, as: UTF8.self)
  }
}

extension UnixSocket {
  /// Receives until the text ends with `end`; false when it does not in time.
  func receives(_ end: String, within seconds: Double = 120) throws -> Bool {
    var text = ""
    let deadline = monotonicNanoseconds() + UInt64(seconds * 1e9)
    while !text.hasSuffix(end), monotonicNanoseconds() < deadline {
      guard try waitUntilReadable(milliseconds: 100) else { continue }
      let bytes = try receive(capacity: 65_536).bytes
      if bytes.isEmpty { return false }
      text = String((text + String(decoding: bytes, as: UTF8.self)).suffix(4096))
    }
    return text.hasSuffix(end)
  }
}
