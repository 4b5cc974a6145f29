import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// How machines end, from within and from without.
  @Suite(.serialized, .boots) struct PowerTests {
    static let ownKernel = ["run", "--kernel", Bench.kernel, "--initrd", Bench.initrd, "--network", "none"]

    /// Boots kernel and initial RAM disk by themselves, to the shell of the latter.
    static func rescueShell(_ options: [String] = []) throws -> VolaryRun {
      try VolaryRun(ownKernel + ["--append", "console=ttyS0 console=hvc0 volary.shell quiet"] + options)
    }

    /// Whether the shell answers, some time. It throws away what was typed before it asked. `word` is new.
    static func hears(_ machine: VolaryRun, _ word: String) throws -> Bool {
      guard try machine.run.awaitOutput("~ # ", within: 200) else { return false }
      for _ in 0..<200 {
        machine.run.type("echo \(word)=$((1 + 1))\n")
        if try machine.run.awaitOutput("\(word)=2\r", within: 1) { return true }
      }
      return false
    }

    @Test func ownKernelBootsAndRestarts() throws {
      let machine = try Self.rescueShell()
      #expect(try Self.hears(machine, "first"))
      // The second greeting is the restarted machine's.
      machine.run.type("echo $((6 * 7)); reboot -f\n")
      #expect(try machine.run.awaitOutput("42\r", within: 200))
      #expect(
        try Bench.eventually {
          _ = try machine.run.awaitOutput("there is no such text", within: 1)
          return machine.run.output.components(separatedBy: "built-in shell").count == 3
        }, "\(machine.run.output)")
      #expect(try Self.hears(machine, "second"))
      machine.run.type("poweroff -f\n")
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
    }

    @Test func panicIsToldInALine() throws {
      let machine = try VolaryRun.job("echo c >/proc/sysrq-trigger; sleep 100")
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 1)
      let first = outcome.errors.split(separator: "\n").first ?? ""
      #expect(first.hasPrefix("volary: debian/13: ") && first.contains("Kernel panic"), "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
    }

    @Test func killedVolaryLeavesNothing() throws {
      let machine = try VolaryRun.job("echo up; sleep 1000")
      #expect(try machine.run.awaitOutput("up", within: 200))
      let children = Bench.children(of: machine.pid)
      #expect(children.count == 2)
      kill(machine.pid, SIGKILL)
      #expect(machine.run.process.wait(milliseconds: 60_000) == .signal(SIGKILL))
      for (name, pid) in children {
        #expect(Bench.eventually { !Bench.isAlive(pid) }, "\(name) lives on")
      }
      #expect(machine.leftovers.isEmpty)
    }

    /// The machine goes on without a network.
    @Test func killedNetworkIsTold() throws {
      let machine = try VolaryRun.job("echo up; read line; echo \"got $line\"; exit 4")
      #expect(try machine.run.awaitOutput("up", within: 200))
      let process = try #require(Bench.children(of: machine.pid)["volary-nat"])
      kill(process, SIGKILL)
      #expect(Bench.eventually { !Bench.isAlive(process) })
      machine.run.type("on\n")
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 4)
      #expect(outcome.output == "up\ngot on\n")
      #expect(
        outcome.errors.isOneLine(naming: "the network is gone", "killed by signal 9"), "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
    }

    @Test func killedMachineIsTold() throws {
      let machine = try VolaryRun.job("echo up; sleep 1000")
      #expect(try machine.run.awaitOutput("up", within: 200))
      let process = try #require(Bench.children(of: machine.pid)["volary-machine"])
      kill(process, SIGKILL)
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 1)
      #expect(
        outcome.errors.isOneLine(naming: "debian/13", "process was killed by signal 9"), "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
    }

    /// The job gets the signal, and what it then writes to a disk of one's own is kept.
    @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
    func signalEndsJobAndMachineInOrder(_ signal: Int32) throws {
      let folder = TestFolder()
      let disk = try folder.disk("own.raw", bytes: 64 << 20)
      let made = try ProgramRun("/usr/sbin/mke2fs", ["-q", "-t", "ext4", disk]).finish()
      try #require(made.exit == .code(0))
      let machine = try VolaryRun.job(
        """
        /usr/lib/volary/busybox mount -t ext4 /dev/vdb /mnt || exit 9
        trap 'echo goodbye >/mnt/note; exit 5' \(signal); echo up; while :; do sleep 1; done
        """, options: ["--disk-image", disk])
      #expect(try machine.run.awaitOutput("up", within: 200))
      kill(machine.pid, signal)
      #expect(try machine.finish(within: 200).code == 128 + signal)
      #expect(machine.leftovers.isEmpty)
      let features = try ProgramRun("/usr/sbin/dumpe2fs", ["-h", disk]).finish().output
      #expect(features.contains("has_journal") && !features.contains("needs_recovery"))
      let note = try ProgramRun("/usr/sbin/debugfs", ["-R", "cat note", disk]).finish()
      #expect(note.output == "goodbye\n")
    }

    @Test func jobThatHeedsNoSignalIsKilled() throws {
      let machine = try VolaryRun.job("trap '' TERM; echo up; while :; do sleep 1; done")
      #expect(try machine.run.awaitOutput("up", within: 200))
      kill(machine.pid, SIGTERM)
      #expect(try machine.finish(within: 200).code == 128 + SIGTERM)
      #expect(machine.leftovers.isEmpty)
    }

    /// One that restarts after its panic, and one that stands still.
    @Test(arguments: ["panic=-1", "quiet"])
    func ownKernelWithoutARootIsNotRunForEver(_ append: String) throws {
      let machine = try VolaryRun(["run", "--kernel", Bench.kernel, "--network", "none", "--append", append])
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: "kernel", "Kernel panic - not syncing"), "\(outcome.errors)")
      #expect(outcome.output.contains("Kernel panic - not syncing"))
      #expect(machine.leftovers.isEmpty)
    }

    /// As the README has it: each of the consoles alone, or none named.
    @Test(arguments: ["console=ttyS0", "console=hvc0", "volary.shell"])
    func ownKernelSpeaksOnTheConsoleThatIsNamed(_ append: String) throws {
      let machine = try VolaryRun(Self.ownKernel + ["--append", append])
      #expect(try Self.hears(machine, "heard"), "\(machine.run.output)")
      // hvc0 comes after the kernel's first words.
      #expect(machine.run.output.contains("Linux version") || append == "console=hvc0")
      machine.run.type("poweroff -f\n")
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 0 && outcome.errors == "", "\(outcome.errors)")
    }
  }
}
