import Foundation
import Glibc
import HostSystem
import Testing

extension EndToEndTests {
  /// Kernels of a few instructions on the `pc` board, which any /dev/kvm carries out, hardware or not.
  @Suite(.serialized, .runsPrograms, .enabled(if: Bench.hasKVM, "/dev/kvm cannot be opened"))
  struct PCTests {
    /// Runs a kernel, whose architecture its header does not tell.
    func run(
      _ kernel: TinyKernel, _ options: [String] = [], within seconds: Int = 60
    ) throws -> ProgramRun.Outcome {
      let folder = TestFolder()
      let file = try folder.file("tiny", kernel.file)
      let machine = try VolaryRun(
        ["run", "--kernel", file, "--arch", "amd64", "--engine", "kvm", "--network", "none"] + options)
      let outcome = try machine.finish(within: seconds)
      #expect(machine.leftovers.isEmpty)
      return outcome
    }

    @Test(arguments: [[], ["--cpus", "4"], ["--memory", "64MiB"], ["--memory", "5GiB"]])
    func speaksAndSwitchesItselfOff(_ options: [String]) throws {
      var kernel = TinyKernel()
      kernel.print("hello\n")
      kernel.powerOff()
      let outcome = try run(kernel, options)
      #expect(outcome.exit == .code(0), "\(outcome.errors)")
      #expect(outcome.output == "hello\n")
      #expect(outcome.errors == "")
    }

    @Test func restarts() throws {
      var kernel = TinyKernel()
      kernel.print("up ")
      kernel.atFirst { $0.reset() }
      kernel.print("and off\n")
      kernel.powerOff()
      let outcome = try run(kernel)
      #expect(outcome.exit == .code(0), "\(outcome.errors)")
      #expect(outcome.output == "up up and off\n")
    }

    /// A CPU that cannot go on is a restart, as on every PC.
    @Test func tripleFaultRestarts() throws {
      var kernel = TinyKernel()
      kernel.print("up ")
      kernel.atFirst { $0.tripleFault() }
      kernel.print("and off\n")
      kernel.powerOff()
      let outcome = try run(kernel)
      #expect(outcome.exit == .code(0), "\(outcome.errors)")
      #expect(outcome.output == "up up and off\n")
    }

    @Test func saysThatItCrashed() throws {
      var kernel = TinyKernel()
      kernel.print("oops\n")
      kernel.panic()
      let outcome = try run(kernel)
      #expect(outcome.exit == .code(1))
      #expect(outcome.output == "oops\n")
      #expect(outcome.errors.isOneLine(naming: "tiny", "kernel gave up"), "\(outcome.errors)")
    }

    /// No access of any width, wherever, stops the machine.
    @Test func strayAccessesAreAbsorbed() throws {
      var kernel = TinyKernel()
      kernel.pokeEverywhere()
      kernel.print("still here\n")
      kernel.powerOff()
      let outcome = try run(kernel)
      #expect(outcome.exit == .code(0), "\(outcome.errors)")
      #expect(outcome.output == "still here\n")
    }

    /// A guest that does not listen to its power button is switched off by a second signal.
    @Test func secondSignalCutsThePower() throws {
      var kernel = TinyKernel()
      kernel.print("deaf\n")
      kernel.halt()
      let folder = TestFolder()
      let machine = try VolaryRun([
        "run", "--kernel", try folder.file("tiny", kernel.file), "--arch", "amd64", "--engine", "kvm",
        "--network", "none",
      ])
      #expect(try machine.run.awaitOutput("deaf", within: 60))
      kill(machine.pid, SIGTERM)
      usleep(300_000)
      #expect(Bench.isAlive(machine.pid))
      kill(machine.pid, SIGTERM)
      let outcome = try machine.finish(within: 60)
      #expect(outcome.exit == .code(128 + SIGTERM))
      #expect(machine.leftovers.isEmpty)
    }
  }
}
