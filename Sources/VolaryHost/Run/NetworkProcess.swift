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

  /// Starts it, and waits until it has the host's ports that are to lead to the guest. It ends when nobody has the
  /// machine's end any more. What it says goes to `log`, or else can be read from ``words``; with a log it
  /// `outlivesStarter`.
  static func start(publish: [PublishedPort], log: Descriptor? = nil) throws(VolaryError) -> NetworkProcess {
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
    } catch { throw VolaryError("cannot set up the network: \(error)") }
    return try withExtendedLifetime((framesOfNAT, statusOfNAT, wordsOfNAT)) { () throws(VolaryError) in
      try awaitReady(process, status)
      return NetworkProcess(process: process, words: words.descriptor, frames: frames)
    }
  }

  /// Waits for the line `ready`; what else it says is why there is no network.
  private static func awaitReady(_ process: ChildProcess, _ status: UnixSocket) throws(VolaryError) {
    var said: [UInt8] = []
    let deadline = monotonicNanoseconds() + UInt64(patience) * 1_000_000
    while !said.contains(UInt8(ascii: "\n")), monotonicNanoseconds() < deadline {
      var entries = [
        pollfd(fd: status.descriptor.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: process.descriptor.raw, events: Int16(POLLIN), revents: 0),
      ]
      poll(&entries, 2, 1000)
      let bytes = entries[0].revents != 0 ? Relay.read(status.descriptor.raw) : nil
      if let bytes, bytes.isEmpty { break }
      said += bytes ?? []
      if bytes == nil, let exit = process.reap() {
        throw VolaryError("the network could not be set up: \(HelperProgram.nat.rawValue) \(exit)")
      }
    }
    let line = String(decoding: said.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    if line == "ready" { return }
    let reason = line.hasPrefix("error: ") ? String(line.dropFirst("error: ".count)) : "no answer"
    // Its exit code says what kind of reason that is, as ours does; some have their way out in them.
    var code = VolaryError.Code.failed
    if case .code(let number) = process.wait(milliseconds: 2000), line.hasPrefix("error: ") {
      code = VolaryError.Code(rawValue: number) ?? .failed
    }
    throw VolaryError(
      code, "the network could not be set up: \(reason)",
      wayOut: code == .conflict || code == .denied ? nil : "'--network none' runs without one")
  }
}

extension UnixSocket {
  /// A connected pair.
  static func connected(_ kind: Kind) throws(VolaryError) -> (UnixSocket, UnixSocket) {
    do { return try pair(kind) } catch { throw VolaryError("cannot make a socket: \(error)") }
  }
}
