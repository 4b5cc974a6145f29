import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Kernels of a few instructions on the `pc` board, which any /dev/kvm carries out, hardware or not.
  @Suite(.serialized, .runsPrograms, .enabled(if: Bench.hasKVM, "/dev/kvm cannot be opened"))
  struct PCTests {
    /// Runs a kernel, whose architecture its header does not tell.
    func run(
      _ kernel: TinyKernel, _ options: [String] = [], within seconds: Int = 200
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

    /// Firmware of a few instructions in real mode, at the end of a file that begins as firmware does.
    static let tinyFirmware: [UInt8] = {
      let code: [UInt8] = [
        0xBA, 0x10, 0x05, 0x31, 0xC0, 0xEF,  // mov dx, 0x510; xor ax, ax; out dx, ax: the signature
        0xB9, 0x04, 0x00,  // mov cx, 4
        0xBA, 0x11, 0x05, 0xEC,  // mov dx, 0x511; in al, dx
        0xBA, 0xF8, 0x03, 0xEE,  // mov dx, 0x3F8; out dx, al
        0xE2, 0xF6,  // loop to the second mov dx
        0xBA, 0x04, 0x06, 0xB8, 0x01, 0x20, 0xEF,  // mov dx, 0x604; mov ax, 0x2001; out dx, ax: off
        0xF4, 0xEB, 0xFD,  // hlt, for ever
      ]
      var file = [UInt8](repeating: 0, count: 1 << 16)
      file.replaceSubrange(40..<44, with: Array("_FVH".utf8))
      file.replaceSubrange(0xFF00..<0xFF00 + code.count, with: code)
      file.replaceSubrange(0xFFF0..<0xFFF3, with: [0xE9, 0x0D, 0xFF])  // jmp 0xFF00
      return file
    }()

    @Test func firmwareStartsAtTheResetVector() throws {
      let folder = TestFolder()
      let code = try folder.file("TINY_CODE.fd", Self.tinyFirmware)
      _ = try folder.file("TINY_VARS.fd", Array(Self.tinyFirmware[..<4096]))
      let disk = try folder.file("disk", [UInt8](repeating: 0, count: 512))
      let nvram = "\(folder.path)/nvram"
      let options = ["--disk-image", disk, "--engine", "kvm", "--network", "none", "--firmware"]
      for memory in ["64MiB", "3GiB"] {
        let machine = try VolaryRun(["run"] + options + [code, "--nvram", nvram, "--memory", memory])
        let outcome = try machine.finish(within: 200)
        #expect(outcome.exit == .code(0) && outcome.output == "QEMU" && outcome.errors == "", "\(outcome)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: nvram)) == Data(Self.tinyFirmware[..<4096]))
      }
      let wrong: [(code: [UInt8], variables: [UInt8], words: String)] = [
        (
          [UInt8](repeating: 0, count: 65536), Array(Self.tinyFirmware[..<4096]),
          "the firmware cannot be used"
        ),
        (Self.tinyFirmware, [1, 2, 3], "the firmware's variables cannot be used"),
        (Array(Self.tinyFirmware[..<5000]), Array(Self.tinyFirmware[..<4096]), "whole pages"),
        (
          Self.tinyFirmware + [UInt8](repeating: 0, count: 16 << 20), Array(Self.tinyFirmware[..<4096]),
          "16 MiB"
        ),
      ]
      for (number, files) in wrong.enumerated() {
        let code = try folder.file("\(number)CODE", files.code)
        _ = try folder.file("\(number)VARS", files.variables)
        let outcome = try VolaryRun(["run"] + options + [code]).finish(within: 200)
        #expect(outcome.exit == .code(2) && outcome.output == "")
        #expect(outcome.errors.isOneLine(naming: files.words, "ovmf"), "\(outcome.errors)")
      }
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
      #expect(try machine.run.awaitOutput("deaf", within: 200))
      kill(machine.pid, SIGTERM)
      usleep(300_000)
      #expect(Bench.isAlive(machine.pid))
      // Two that nobody has looked at yet are one.
      #expect(
        Bench.eventually {
          machine.run.signal(SIGTERM)
          return machine.run.wait(within: 1) != nil
        })
      let outcome = try machine.finish(within: 200)
      #expect(outcome.exit == .code(128 + SIGTERM))
      #expect(machine.leftovers.isEmpty)
    }
  }
}
