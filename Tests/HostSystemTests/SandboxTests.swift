import Glibc
import HostSystem
import Testing

/// What a sandboxed process can and cannot do, asked of the kernel by a process in the sandbox.
@Suite struct SandboxTests {
  /// How `volary-test-support PROBE kill|refuse` ended, and what it printed.
  private func run(_ probe: String, _ mode: String) throws -> (exit: ChildProcess.Exit?, output: String) {
    let (ours, theirs) = try UnixSocket.pair(.stream)
    var child: ChildProcess? = try ChildProcess(
      path: TestPrograms.support, arguments: ["support", probe, mode],
      descriptors: [theirs.descriptor, theirs.descriptor, theirs.descriptor])
    let exit = child?.wait(milliseconds: 20_000)
    child = nil
    theirs.finishSending()
    var output: [UInt8] = []
    while let packet = try? ours.receive(capacity: 4096), !packet.bytes.isEmpty { output += packet.bytes }
    return (exit, String(decoding: output, as: UTF8.self))
  }

  @Test(arguments: ["memory", "files", "threads", "events", "time", "output", "accept"])
  func permits(_ probe: String) throws {
    let (exit, output) = try run(probe, "kill")
    #expect(exit == .code(0), "\(probe): \(output)")
    if probe == "output" { #expect(output == "hello\n") }
  }

  @Test(arguments: [
    "create", "stat", "socket", "exec", "spawn", "mmap-exec", "mmap-file-exec", "mprotect-exec", "kill-other",
    "setuid", "chroot", "accept-unasked", "accept-other",
  ])
  func kills(_ probe: String) throws {
    #expect(try run(probe, "kill").exit == .signal(SIGSYS))
  }

  /// Calls that a library may make at any time are refused without a kill.
  @Test(arguments: ["open", "raise-limit"])
  func refuses(_ probe: String) throws {
    #expect(try run(probe, "kill").exit == .code(100))
  }

  @Test(arguments: ["stat", "socket", "exec", "spawn", "mmap-exec", "mprotect-exec", "kill-other"])
  func refusesWhenAskedToOnly(_ probe: String) throws {
    #expect(try run(probe, "refuse").exit == .code(100))
  }
}
