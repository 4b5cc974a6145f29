// A process for tests to start. What it plays is told by its arguments:
//   --control N …             a machine whose guest is a script (FakeMachine)
//   --frames N --status N …   a network that is ready, or not (FakeNetwork)
//   PROBE kill|refuse         a sandboxed process that tries one thing (SandboxProbe)
internal import Glibc

let arguments = CommandLine.arguments
if arguments.contains("--control") {
  exit(FakeMachine.run(controlDescriptor: 3))
} else if arguments.contains("--frames") {
  exit(FakeNetwork.run(arguments))
} else if arguments.count == 3 {
  exit(SandboxProbe.run(arguments[1], refusing: arguments[2] == "refuse"))
}
print("usage: see \(#fileID)")
exit(2)
