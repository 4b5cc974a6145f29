import Glibc
import HostSystem
import MachineControl

/// A process that plays the network of a machine (NAT), and the machine's end of it.
struct NetworkProcess {
  /// Milliseconds that it has for what should take a few.
  private static let patience = 20_000

  let process: ChildProcess
  /// What it says on standard output and error.
  let words: Descriptor
  /// The machine's end.
  let frames: UnixSocket
  /// Where it says how it went.
  private let status: UnixSocket

  /// Starts it; ``awaitReady()`` is to follow, when what can go on beside it has been begun. It ends when nobody has the
  /// machine's end any more. What it says goes to `log`, or else can be read from ``words``; with a log it
  /// `outlivesStarter`.
  static func begin(publish: [PublishedPort], log: Descriptor? = nil) throws(VolaryError) -> NetworkProcess {
    let (frames, framesOfNAT) = try UnixSocket.connected(.sequencedPacket)
    let (status, statusOfNAT) = try UnixSocket.connected(.stream)
    let (words, wordsOfNAT) = try UnixSocket.connected(.stream)
    let first = HelperProgram.firstDescriptor
    let process = try HelperProgram.nat.start(
      ["--frames", "\(first)", "--status", "\(first + 1)"] + publish.flatMap { ["--publish", "\($0)"] },
      output: log ?? wordsOfNAT.descriptor, descriptors: [framesOfNAT.descriptor, statusOfNAT.descriptor],
      outlivesStarter: log != nil)
    do {
      try status.descriptor.setNonblocking(true)
      try words.descriptor.setNonblocking(true)
    } catch {
      process.terminate()
      throw VolaryError("cannot set up the network: \(error)")
    }
    return NetworkProcess(process: process, words: words.descriptor, frames: frames, status: status)
  }

  /// Waits until it has the host's ports that are to lead to the guest: for the line `ready`. What else it says is why
  /// there is no network.
  func awaitReady() throws(VolaryError) {
    var said: [UInt8] = []
    let deadline = monotonicNanoseconds() + UInt64(Self.patience) * 1_000_000
    while !said.contains(UInt8(ascii: "\n")), monotonicNanoseconds() < deadline {
      var entry = pollfd(fd: status.descriptor.raw, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, 1000)
      guard entry.revents != 0, let bytes = Relay.read(status.descriptor.raw) else { continue }
      // It has ended.
      if bytes.isEmpty { break }
      said += bytes
    }
    let line = String(decoding: said.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    if line == "ready" { return }
    let exit = process.wait(milliseconds: 2000)
    guard line.hasPrefix("error: ") else {
      let what = exit.map { "\(HelperProgram.nat.rawValue) \($0)" } ?? "no answer"
      throw VolaryError("the network could not be set up: \(what)")
    }
    // Its exit code says what kind of reason that is, as ours does; some have their way out in them.
    var code = VolaryError.Code.failed
    if case .code(let number) = exit { code = VolaryError.Code(rawValue: number) ?? .failed }
    throw VolaryError(
      code, "the network could not be set up: \(line.dropFirst("error: ".count))",
      wayOut: code == .conflict || code == .denied ? nil : "'--network none' runs without one")
  }
}

extension UnixSocket {
  /// A connected pair.
  static func connected(_ kind: Kind) throws(VolaryError) -> (UnixSocket, UnixSocket) {
    do { return try pair(kind) } catch { throw VolaryError("cannot make a socket: \(error)") }
  }
}
