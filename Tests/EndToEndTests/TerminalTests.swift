import Glibc
import HostSystem
import Testing

extension EndToEndTests {
  /// A person at a terminal.
  @Suite(.serialized, .boots) struct TerminalTests {
    let scratch = TestFolder()

    func start(_ terminal: PseudoTerminal, _ arguments: [String]) throws -> ChildProcess {
      let environment = Bench.environment.merging([
        "TMPDIR": scratch.path, "VOLARY_DATA": Bench.data, "TERM": "vt100",
      ]) { $1 }
      return try ChildProcess(
        path: "\(Bench.programs)/volary",
        arguments: ["volary", "run", "--arch", "riscv64", Bench.imageName] + arguments,
        descriptors: [terminal.program, terminal.program, terminal.program],
        environment: environment.map { "\($0)=\($1)" })
    }

    @Test func shellHasATerminalOfThePersonsSize() throws {
      let terminal = try PseudoTerminal(columns: 93, rows: 31)
      let before = terminal.attributes
      let process = try start(terminal, [])
      #expect(terminal.awaitScreen("Ctrl-]", within: 200))
      #expect(terminal.awaitScreen("# ", within: 200), "no prompt: \(terminal.screen)")
      #expect(terminal.attributes != before)
      terminal.type("echo \"$TERM $(tty) $(stty size)\"\r")
      #expect(terminal.awaitScreen("vt100 /dev/hvc0 31 93", within: 200), "\(terminal.screen)")
      #expect(terminal.awaitScreen("# ", within: 200))
      terminal.resize(columns: 71, rows: 22)
      // Without a controlling terminal nobody sends this.
      kill(process.identifier, SIGWINCH)
      // A line that a shell is given between a command and its prompt may be lost.
      let isResized = (0..<20).contains { _ in
        terminal.type("until [ \"$(stty size)\" = '22 71' ]; do sleep 0.2; done; echo is $(stty size)\r")
        return terminal.awaitScreen("is 22 71", within: 120)
      }
      #expect(isResized, "\(terminal.screen)")
      // Ctrl-C ends a command, not the machine.
      terminal.type("sh -c 'echo runs=$((1+1)); exec sleep 1000'\r")
      #expect(terminal.awaitScreen("runs=2", within: 200))
      terminal.type("\u{3}")
      #expect(terminal.awaitScreen("# ", within: 200))
      terminal.type("exit 3\r")
      #expect(process.wait(milliseconds: 200_000) == .code(3))
      #expect(terminal.attributes == before)
      #expect(scratch.content.isEmpty)
    }

    /// From outside, while a shell and its command run.
    @Test(arguments: [SIGTERM, SIGHUP])
    func signalEndsTheShell(_ signal: Int32) throws {
      let terminal = try PseudoTerminal(columns: 80, rows: 24)
      let before = terminal.attributes
      let process = try start(terminal, [])
      #expect(terminal.awaitScreen("# ", within: 200), "no prompt: \(terminal.screen)")
      terminal.type("sleep 1000\r")
      #expect(terminal.awaitScreen("sleep 1000", within: 200))
      kill(process.identifier, signal)
      #expect(process.wait(milliseconds: 200_000) == .code(128 + signal))
      #expect(terminal.attributes == before)
      #expect(scratch.content.isEmpty)
    }

    /// Even where `volary` could do nothing for it.
    @Test func killedVolaryLeavesTheTerminalAsItWas() throws {
      let terminal = try PseudoTerminal(columns: 80, rows: 24)
      let before = terminal.attributes
      let process = try start(terminal, [])
      #expect(terminal.awaitScreen("# ", within: 200), "no prompt: \(terminal.screen)")
      let children = Bench.children(of: process.identifier)
      #expect(terminal.attributes != before)
      kill(process.identifier, SIGKILL)
      #expect(process.wait(milliseconds: 200_000) == .signal(SIGKILL))
      #expect(Bench.eventually { terminal.attributes == before })
      for (name, pid) in children {
        #expect(Bench.eventually { !Bench.isAlive(pid) }, "\(name) lives on")
      }
      #expect(scratch.content.isEmpty)
    }

    @Test func escapeKeyLeaves() throws {
      let terminal = try PseudoTerminal(columns: 80, rows: 24)
      let before = terminal.attributes
      let process = try start(terminal, [])
      #expect(terminal.awaitScreen("# ", within: 200), "no prompt: \(terminal.screen)")
      let children = Bench.children(of: process.identifier)
      #expect(Set(children.keys) == ["volary-machine", "volary-nat", "volary-terminal"])
      terminal.type("\u{1d}")
      #expect(process.wait(milliseconds: 200_000) == .code(0))
      #expect(terminal.attributes == before)
      for (_, pid) in children { #expect(!Bench.isAlive(pid)) }
    }
  }
}
