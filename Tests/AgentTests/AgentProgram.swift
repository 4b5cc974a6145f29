import AgentProtocol
import Foundation
import Glibc
import HostSystem
import Testing

/// The agent as a program of this host, which serves one connection on its standard streams. Guests' kernels speak to
/// it as this one does.
final class AgentProgram {
  /// How it is started: this host's own, and riscv64's in QEMU's user mode.
  static let all = [
    Kind(name: "amd64", emulator: nil), Kind(name: "riscv64", emulator: "/usr/bin/qemu-riscv64"),
  ]

  struct Kind: Sendable, CustomTestStringConvertible {
    let name: String
    let emulator: String?
    var testDescription: String { name }

    var command: [String] {
      let built = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
      let folder =
        ProcessInfo.processInfo.environment["VOLARY_BIN"] ?? (built as NSString).deletingLastPathComponent
      return (emulator.map { [$0] } ?? []) + ["\(folder)/volary-agent-\(name)"]
    }
  }

  private let process: ChildProcess
  private let input: Descriptor
  var inputDescriptor: Descriptor { input }
  private let output: Descriptor
  private var reader = AgentFrameReader()

  init(_ kind: Kind) throws {
    let (inputs, outputs) = (try UnixSocket.pair(.stream), try UnixSocket.pair(.stream))
    let command = kind.command + ["--stdio"]
    let errors = try Descriptor.open("/dev/null", O_WRONLY)
    process = try ChildProcess(
      path: command[0], arguments: command,
      descriptors: [inputs.1.descriptor, outputs.1.descriptor, errors], outlivesStarter: true)
    (input, output) = (inputs.0.descriptor, outputs.0.descriptor)
  }

  deinit { process.terminate() }

  func send(_ frame: AgentFrame) throws { try frame.encoded.withUnsafeBytes { try input.writeAll($0) } }

  /// The next frame; nil at the end, or when none came for two minutes.
  func next() throws -> AgentFrame? {
    while true {
      if let frame = try reader.next() { return frame }
      var entry = pollfd(fd: output.raw, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 120_000) == 1 else { return nil }
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      let count = buffer.withUnsafeMutableBytes { read(output.raw, $0.baseAddress, $0.count) }
      if count <= 0 { return nil }
      reader.append(buffer[..<count])
    }
  }

  /// No more frames come for it.
  func hangUp() { shutdown(input.raw, Int32(SHUT_RDWR)) }

  /// How a program ended, and what it wrote.
  struct Outcome {
    var output: [UInt8] = []
    var errors: [UInt8] = []
    var code: UInt8?
    var room = 0
    var text: String { String(decoding: output, as: UTF8.self) }
  }

  /// Runs a program with all of its input, which is sent as the agent has room for it.
  func run(_ request: ExecRequest, input: [UInt8] = []) throws -> Outcome {
    try send(AgentFrame(.exec, request.encoded))
    var outcome = Outcome()
    var rest = input[...]
    var room = AgentProtocol.inputWindow
    var hasEnded = false
    func feed() throws {
      while !rest.isEmpty, room > 0 {
        let piece = rest.prefix(min(room, 16 << 10))
        room -= piece.count
        rest = rest.dropFirst(piece.count)
        try send(AgentFrame(.input, Array(piece)))
      }
      if rest.isEmpty, !hasEnded {
        hasEnded = true
        // A program that wants no input may have ended, and its agent with it.
        do { try send(AgentFrame(.inputEnd)) } catch let error as Errno where error == .brokenPipe {}
      }
    }
    try feed()
    while let frame = try next() {
      switch frame.kind {
      case .started: break
      case .output: outcome.output += frame.content
      case .errors: outcome.errors += frame.content
      case .room:
        var content = AgentReader(frame.content)
        let count = Int(try content.integer(UInt32.self))
        outcome.room += count
        room += count
        try feed()
      case .ended:
        outcome.code = frame.content.first
        return outcome
      default: return outcome
      }
    }
    return outcome
  }
}

extension ExecRequest {
  init(_ words: String..., options: Options = [], environment: [String] = []) {
    self.init(
      options: options, environment: environment.map { Array($0.utf8) },
      arguments: words.map { Array($0.utf8) })
  }
}
