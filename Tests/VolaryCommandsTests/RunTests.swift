import Foundation
import Glibc
import HostSystem
import Testing

/// `volary run` with pipes for streams, against machines that play a part.
@Suite struct RunTests {
  private let installation: TestInstallation

  init() throws { installation = try TestInstallation() }

  private func run(_ script: String, _ arguments: [String] = ["--network", "none"], input: String = "") throws
    -> TestInstallation.Outcome
  {
    try installation.run(["run", try installation.image(script)] + arguments, input: input)
  }

  @Test(arguments: [0, 1, 7, 130, 255])
  func returnsTheGuestsCode(_ code: Int32) throws {
    let outcome = try run("exit \(code)")
    #expect(outcome.exit == .code(code))
    #expect(outcome.errors.isEmpty)
  }

  @Test func carriesTheThreeStreams() throws {
    let input = (0..<15_000).map { "line \($0)\n" }.joined()
    let outcome = try run("cat", input: input)
    #expect(outcome.exit == .code(0))
    #expect(outcome.output == input)
    #expect(outcome.errors == "end of input\n")
  }

  @Test func deliversAllOutputBeforeItEnds() throws {
    let outcome = try run("flood")
    #expect(outcome.exit == .code(0))
    #expect(outcome.output.utf8.count == 4 << 20)
  }

  /// Nobody reads on: the machine ends, quickly and quietly.
  @Test func endsWhenItsReaderGoes() throws {
    var running: Running? = try installation.start(
      ["run", try installation.image("flood"), "--network", "none"])
    let process = try #require(running?.process)
    _ = try running?.output.receive(capacity: 100)
    running = nil  // closes
    #expect(process.wait(milliseconds: 120_000) == .code(128 + SIGPIPE))
  }

  @Test func tellsOfAPanic() throws {
    let outcome = try run("panic")
    #expect(outcome.exit == .code(1))
    #expect(outcome.errors.hasPrefix("volary: test-panic: the guest's kernel gave up"))
    #expect(outcome.errors.contains("while booting"))
    #expect(outcome.errors.contains("  | [    0.000000] Linux version 0.0 (fake)"))
    #expect(outcome.output.isEmpty)
  }

  @Test func tellsOfACrash() throws {
    let outcome = try run("crash")
    #expect(outcome.exit == .code(1))
    #expect(outcome.errors.contains("killed by signal 6"))
    #expect(outcome.errors.contains("  | the last words of the guest"))
  }

  @Test func tellsOfAMachineThatCannotBeMade() throws {
    let outcome = try run("refuse")
    #expect(outcome.exit == .code(1))
    #expect(outcome.errors.contains("mapping the guest's memory: Cannot allocate memory"))
  }

  @Test func tellsOfAMachineThatTalksNonsense() throws {
    let outcome = try run("garbage")
    #expect(outcome.exit == .code(1))
    #expect(outcome.errors.contains("malformed packet"))
  }

  @Test func givesUpOnAGuestThatDoesNotComeUp() throws {
    let outcome = try run("hang", ["--network", "none", "--boot-timeout", "1"])
    #expect(outcome.exit == .code(124))
    #expect(outcome.errors.contains("did not come up in 1 seconds"))
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func endsOnASignal(_ signal: Int32) throws {
    let running = try installation.start(["run", try installation.image("hang"), "--verbose"])
    // The first line of the guest says that the machine runs.
    #expect(try running.errors.waitUntilReadable(milliseconds: 120_000))
    let children = Self.children(of: running.process.identifier)
    #expect(children.count == 2)
    kill(running.process.identifier, signal)
    #expect(try running.finish().exit == .code(128 + signal))
    #expect(children.allSatisfy { !Self.exists($0) })
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(installation.folder)/tmp")
    #expect(left.isEmpty)
  }

  /// A guest that can end its job in order is told to, and has a while; a second signal ends its time.
  @Test(arguments: [SIGINT, SIGTERM, SIGHUP], ["stops obediently", "stops never"])
  func hasTheGuestStop(_ signal: Int32, _ script: String) throws {
    let running = try installation.start(["run", try installation.image(script)])
    #expect(try running.output.receive(capacity: 100).bytes == Array("up\n".utf8))
    kill(running.process.identifier, signal)
    #expect(try running.output.waitUntilReadable(milliseconds: 120_000))
    if script.hasSuffix("never") { kill(running.process.identifier, SIGTERM) }
    let outcome = try running.finish()
    #expect(outcome.exit == .code(128 + (script.hasSuffix("never") ? SIGTERM : signal)))
    #expect(outcome.output == "heard stop \(signal)\n")
  }

  /// Even a volary that had no chance to clean up leaves no process behind.
  @Test func leavesNothingWhenItIsKilled() throws {
    let running = try installation.start(["run", try installation.image("hang"), "--verbose"])
    #expect(try running.errors.waitUntilReadable(milliseconds: 120_000))
    let children = Self.children(of: running.process.identifier)
    #expect(children.count == 2)
    running.process.terminate()
    let deadline = monotonicNanoseconds() + 60_000_000_000
    while children.contains(where: Self.exists), monotonicNanoseconds() < deadline { usleep(10_000) }
    #expect(children.allSatisfy { !Self.exists($0) })
  }

  @Test func tellsWhyThereIsNoNetwork() throws {
    let outcome = try run("exit 0", ["--publish", "8080:1"])
    #expect(outcome.exit == .code(1))
    #expect(outcome.errors.contains("cannot listen on port 1"))
    #expect(outcome.errors.contains("--network none"))
    #expect(try run("exit 0", ["--publish", "8080:80"]).exit == .code(0))
  }

  @Test func locksADiskOfOnesOwn() throws {
    let disk = "\(installation.folder)/own.raw"
    try Data(count: 1 << 20).write(to: URL(fileURLWithPath: disk))
    let name = try installation.image("exit 0")
    let arguments = ["run", name, "--network", "none", "--disk-image", disk]
    #expect(try installation.run(arguments).exit == .code(0))
    let held = try Descriptor.open(disk, O_RDWR)
    try held.lock(exclusive: true)
    let outcome = try installation.run(arguments)
    #expect(outcome.exit == .code(5))
    #expect(outcome.errors.contains("in use"))
  }

  @Test func refusesARootDiskThatShrinks() throws {
    let outcome = try run("exit 0", ["--network", "none", "--disk", "512KiB"])
    #expect(outcome.exit == .code(2))
    #expect(try run("exit 0", ["--network", "none", "--disk", "1GiB"]).exit == .code(0))
  }

  /// An own kernel has no job to report: its machine's end is the end.
  @Test func runsAnOwnKernel() throws {
    let kernel = "\(installation.folder)/kernel"
    try Data("panic".utf8).write(to: URL(fileURLWithPath: kernel))
    let outcome = try installation.run(
      ["run", "--kernel", kernel, "--append", "console=hvc0 console=ttyS0", "--network", "none"])
    #expect(outcome.exit == .code(1))
    #expect(outcome.output.contains("Linux version 0.0 (fake)"))
  }

  private func runOwnKernel(_ script: String, _ arguments: [String] = []) throws -> TestInstallation.Outcome {
    let kernel = "\(installation.folder)/own-kernel"
    try Data(script.utf8).write(to: URL(fileURLWithPath: kernel))
    return try installation.run(["run", "--kernel", kernel, "--network", "none"] + arguments)
  }

  @Test(arguments: [
    ("panic", "Kernel panic - not syncing: VFS"), ("standstill", "Kernel panic - not syncing: no init"),
    ("restart", "restarted 10 times in a row"),
  ])
  func tellsOfAnOwnKernelThatGetsNowhere(_ script: String, _ words: String) throws {
    let outcome = try runOwnKernel(script)
    #expect(outcome.exit == .code(1))
    #expect(outcome.errors.hasPrefix("volary: own-kernel: "), "\(outcome.errors)")
    #expect(outcome.errors.contains(words) && outcome.errors.contains("its console says why"))
    #expect(outcome.errors.split(separator: "\n").count == 1)
    #expect(!outcome.output.isEmpty)
  }

  /// On a console that the person does not see.
  @Test func showsAPanicOfAnotherConsole() throws {
    let outcome = try runOwnKernel("panic", ["--console", "hvc0"])
    #expect(outcome.exit == .code(1))
    #expect(outcome.errors.contains("  | [    0.000000] Linux version 0.0 (fake)"), "\(outcome.errors)")
  }

  private static func children(of parent: Int32) -> [Int32] {
    let path = "/proc/\(parent)/task/\(parent)/children"
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap { Int32($0) }
  }

  private static func exists(_ process: Int32) -> Bool {
    // A process that ended and waits for its parent to look is no process any more.
    let status = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
    return !status.isEmpty && !status.contains(") Z ")
  }
}
