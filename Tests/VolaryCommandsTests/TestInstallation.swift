import Foundation
import Glibc
import HostPrograms
import HostSystem
import VolaryCommands
import VolaryHost

/// A folder with the built `volary` and, in the place of its helpers, peers that play a part
/// (Tests/Support); and an image store whose images are such parts. Gone with the value.
final class TestInstallation {
  let folder: String
  var volary: String { "\(folder)/bin/volary" }

  init() throws {
    var template = Array("/tmp/volary-tests.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Errno(errno) }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let files = FileManager.default
    try files.createDirectory(atPath: "\(folder)/bin", withIntermediateDirectories: true)
    try files.createDirectory(atPath: "\(folder)/tmp", withIntermediateDirectories: true)
    for (program, name) in [
      ("volary", "volary"), ("volary-test-support", "volary-machine"), ("volary-test-support", "volary-nat"),
    ] {
      // A hard link is quick and is found beside itself; a copy does where links do not reach. Another program makes
      // it: a child that some other test starts meanwhile has all that is open here until it becomes a program of
      // its own, and what is open for writing anywhere cannot be run ("Text file busy").
      let target = "\(folder)/bin/\(name)"
      if link("\(builtPrograms)/\(program)", target) != 0 {
        _ = try HostPrograms.run("cp", ["\(builtPrograms)/\(program)", target])
      }
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// Makes an image whose guest behaves as `script` says, and returns its name.
  func image(_ script: String) throws -> String {
    let name = "test-" + script.map { $0.isLetter || $0.isNumber ? String($0) : "-" }.joined()
    let image = "\(folder)/data/images/\(name)_riscv64"
    try FileManager.default.createDirectory(atPath: image, withIntermediateDirectories: true)
    try Data(script.utf8).write(to: URL(fileURLWithPath: "\(image)/kernel"))
    try Data("initrd".utf8).write(to: URL(fileURLWithPath: "\(image)/initrd"))
    try Data(count: 1 << 20).write(to: URL(fileURLWithPath: "\(image)/disk.raw"))
    let record = """
      {"version": 1, "name": "\(name)", "architecture": "riscv64", "created_at": "2026-01-01T00:00:00Z",
       "source": "test", "recipe": "\(ImageRecipe.fingerprint)", "kernel_size": \(script.utf8.count), "initrd_size": 6, "disk_size": 1048576, "stored_size": 1}
      """
    try Data(record.utf8).write(to: URL(fileURLWithPath: "\(image)/image.json"))
    return name
  }

  /// The environment for `volary`, with nothing of the person's own.
  var environment: [String] {
    [
      "PATH=/usr/bin:/bin", "HOME=\(folder)", "VOLARY_DATA=\(folder)/data", "TMPDIR=\(folder)/tmp",
      "TERM=vt100",
    ]
  }

  struct Outcome {
    var exit: ChildProcess.Exit?
    var output: String
    var errors: String
  }

  /// Starts `volary`. Its standard streams are pipes; `input` is all there is to read.
  func start(_ arguments: [String], input: String = "") throws -> Running {
    let (stdin, theirStdin) = try UnixSocket.pair(.stream)
    let (stdout, theirStdout) = try UnixSocket.pair(.stream)
    let (stderr, theirStderr) = try UnixSocket.pair(.stream)
    let process = try ChildProcess(
      path: volary, arguments: ["volary"] + arguments,
      descriptors: [theirStdin.descriptor, theirStdout.descriptor, theirStderr.descriptor],
      environment: environment)
    try stdin.send(Array(input.utf8))
    stdin.finishSending()
    return Running(process: process, output: stdout, errors: stderr)
  }

  /// Runs `volary` to its end.
  func run(_ arguments: [String], input: String = "") throws -> Outcome {
    try start(arguments, input: input).finish()
  }
}

/// A `volary` that runs.
struct Running {
  let process: ChildProcess
  let output: UnixSocket
  let errors: UnixSocket

  /// Reads both streams to their ends, and the exit code.
  func finish(seconds: Int = 200) throws -> TestInstallation.Outcome {
    var said: [[UInt8]] = [[], []]
    var open = [true, true]
    let deadline = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
    while open.contains(true), monotonicNanoseconds() < deadline {
      for (index, stream) in [output, errors].enumerated() where open[index] {
        guard try stream.waitUntilReadable(milliseconds: 20) else { continue }
        let bytes = (try? stream.receive(capacity: 64 << 10).bytes) ?? []
        said[index] += bytes
        open[index] = !bytes.isEmpty
      }
    }
    return TestInstallation.Outcome(
      exit: process.wait(milliseconds: 120_000), output: String(decoding: said[0], as: UTF8.self),
      errors: String(decoding: said[1], as: UTF8.self))
  }
}
