package import Foundation

/// What a throw-away machine is to run, as the first process of an image (Guest/machine-init)
/// reads it.
package struct GuestJob: Sendable {
  package enum Mode: String, Sendable {
    /// On the console `hvc0`, as the controlling terminal of its session.
    case tty
    /// On the virtio-serial ports of `GuestPort`.
    case pipe
    /// The image build's configuration of packages, on the kernel's console.
    case configure
    /// An instance's: its own first process, or else a shell on the console again and again, until it is asked to end.
    case serve
  }

  package var mode: Mode
  /// The program and its arguments; a login shell when empty.
  package var arguments: [[UInt8]] = []
  /// Variables added to the guest's own, `NAME=VALUE` each.
  package var environment: [[UInt8]] = []
  package var workingDirectory: String?
  package var hostname: String?
  /// The terminal's type, such as `xterm-256color`.
  package var terminal: String?
  /// The terminal's size in characters.
  package var columns: Int?
  package var rows: Int?
  /// Keys for SSH, which a guest without cloud-init is given by its first process.
  package var keys: [CloudInit.Key] = []

  package init(mode: Mode, arguments: [String] = []) {
    self.mode = mode
    self.arguments = arguments.map { Array($0.utf8) }
  }

  /// The job file: `KEY=VALUE` lines, values in the notation of printf's `%b`.
  ///
  /// Throws `usage` for a zero byte, which no program can be given.
  package func encoded() throws(ImageError) -> [UInt8] {
    var lines = [("mode", Array(mode.rawValue.utf8))]
    if let terminal { lines.append(("term", Array(terminal.utf8))) }
    if let columns { lines.append(("columns", Array("\(columns)".utf8))) }
    if let rows { lines.append(("rows", Array("\(rows)".utf8))) }
    if let hostname { lines.append(("hostname", Array(hostname.utf8))) }
    if let workingDirectory { lines.append(("cwd", Array(workingDirectory.utf8))) }
    lines += keys.map { ("key", Array($0.description.utf8)) }
    // The guest gathers both in one list, so the environment comes first.
    lines += environment.map { ("env", $0) } + arguments.map { ("arg", $0) }
    var text: [UInt8] = []
    for (key, value) in lines {
      text += key.utf8
      text.append(UInt8(ascii: "="))
      text += try Self.escape(value)
      text.append(UInt8(ascii: "\n"))
    }
    return text
  }

  private static func escape(_ bytes: [UInt8]) throws(ImageError) -> [UInt8] {
    var text: [UInt8] = []
    for byte in bytes {
      switch byte {
      case 0:
        throw ImageError(.usage, "a command or variable for the guest holds a zero byte")
      case 0x20...0x7e where byte != UInt8(ascii: "\\"):
        text.append(byte)
      default:
        let digits = String(byte, radix: 8)
        text += "\\0\(String(repeating: "0", count: 3 - digits.count))\(digits)".utf8
      }
    }
    return text
  }

  /// The initramfs archive that carries the job, and the agent if the guest is to have one, to follow an image's own.
  package func archive(agent: [UInt8]? = nil) throws(ImageError) -> [UInt8] {
    var archive = CpioArchive()
    archive.addFolder("volary")
    archive.addFile("volary/job", try encoded(), mode: 0o600)
    if let agent { archive.addFile("volary/agent", agent, mode: 0o700) }
    archive.finish()
    return archive.bytes
  }

  /// Writes a copy of the image's initial RAM disk with the job behind it.
  package func write(initrd: URL, to file: URL) throws {
    var bytes = try Data(contentsOf: initrd)
    // The kernel looks for a further archive at multiples of four.
    bytes.append(contentsOf: repeatElement(0, count: (4 - bytes.count % 4) % 4))
    bytes.append(contentsOf: try archive())
    try bytes.write(to: file)
  }
}

/// The virtio-serial ports that a job uses, by name.
package enum GuestPort {
  /// Port 0: the guest's hvc0.
  package static let console = "org.volary.console"
  /// From the guest: the lines `ready` before the job and `exit N` after its last byte of output, and
  /// before them `stops` from one that takes a line `stop N`: end the job by signal N.
  package static let control = "org.volary.control"
  /// The job's standard streams in mode `pipe`. The host closes `standardInput` to end it.
  package static let standardInput = "org.volary.stdin"
  package static let standardOutput = "org.volary.stdout"
  package static let standardError = "org.volary.stderr"
}
