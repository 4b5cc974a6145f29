import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// What `make` starts, with stand-ins for the host's programs.
  @Suite struct ScriptTests {
    private static let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("scripts").path

    /// A search path of stand-ins, and of the real programs that the scripts use.
    private func host(_ standIns: [String: String]) throws -> TestFolder {
      let folder = TestFolder()
      for (name, body) in standIns {
        let path = try folder.file(name, Array("#!/bin/sh\n\(body)\n".utf8))
        try #require(chmod(path, 0o755) == 0)
      }
      for tool in ["sh", "head", "sed", "ls", "env"] where standIns[tool] == nil {
        try FileManager.default.createSymbolicLink(
          atPath: "\(folder.path)/\(tool)", withDestinationPath: "/bin/\(tool)")
      }
      return folder
    }

    private func run(_ script: String, _ arguments: [String], on host: TestFolder) throws
      -> ProgramRun.Outcome
    {
      try ProgramRun(
        "/usr/bin/env",
        ["-i", "PATH=\(host.path)", "HOME=/nonexistent", "/bin/sh", "\(Self.scripts)/\(script)"] + arguments
      ).finish()
    }

    /// A bare Debian: what is missing is named with its purpose, and what to run as root.
    @Test func packagesAreMissingAndThereIsNoSudo() throws {
      let host = try host(["dpkg-query": "exit 1", "apt-get": "exit 99", "id": "echo 1000"])
      let outcome = try run("install-packages", ["image"], on: host)
      #expect(outcome.code == 1)
      let lines = outcome.errors.split(separator: "\n")
      #expect(lines.contains("needed: fakeroot (root disks without root)"))
      #expect(
        lines.last?.hasPrefix("volary: packages are missing and there is no sudo: as root, run: apt-get")
          == true)
      #expect(lines.last?.contains(" e2fsprogs ") == true)
    }

    @Test func onlyWhatIsMissingIsInstalled() throws {
      let host = try host([
        "dpkg-query": "case \"$4\" in kmod | xz-utils) exit 1 ;; *) echo installed ;; esac",
        "apt-get": "exit 99", "id": "echo 1000", "sudo": "echo \"$@\" >\"${0%/*}/asked\"",
      ])
      let outcome = try run("install-packages", ["image"], on: host)
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.errors.contains("sudo may ask for your password"))
      let asked = try String(contentsOfFile: "\(host.path)/asked", encoding: .utf8)
      #expect(asked == "apt-get install -y --no-install-recommends kmod xz-utils\n")
    }

    @Test func nothingIsAskedWhenNothingIsMissing() throws {
      let host = try host(["dpkg-query": "echo installed", "apt-get": "exit 99", "sudo": "exit 99"])
      let outcome = try run("install-packages", ["test"], on: host)
      #expect(outcome.code == 0 && outcome.output == "" && outcome.errors == "")
    }

    @Test func packagesThatCannotBeHadAreNamed() throws {
      let host = try host(["dpkg-query": "exit 1", "apt-get": "exit 100", "id": "echo 0"])
      let outcome = try run("install-packages", ["image"], on: host)
      #expect(outcome.code == 1)
      #expect(outcome.errors.contains("volary: could not install: debian-archive-keyring e2fsprogs"))
    }

    @Test func anotherDistributionIsTold() throws {
      let outcome = try run("install-packages", ["build"], on: host([:]))
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: "no apt", "Debian 12"))
    }

    @Test(arguments: [
      ("echo 'Swift version 5.10.1 (x)'", "Swift 5.10 is too old"), ("exit 127", "tells no version"),
      ("", "tells no version"),
    ])
    func swiftIsNotWhatIsNeeded(_ body: String, _ words: String) throws {
      let outcome = try run("require-swift", [], on: host(["swift": body]))
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: words), "\(outcome.errors)")
    }

    @Test func swiftIsMissingOrNewEnough() throws {
      let missing = try run("require-swift", [], on: host([:]))
      #expect(missing.code == 1)
      #expect(missing.errors.isOneLine(naming: "Swift is missing", "swift.org"))
      for version in ["6.2", "6.3.1", "7.0"] {
        let outcome = try run("require-swift", [], on: host(["swift": "echo 'Swift version \(version) (x)'"]))
        #expect(outcome.code == 0, "\(version): \(outcome.errors)")
      }
    }

    /// The installed program finds its helpers, wherever it was put.
    @Test(.runsPrograms, arguments: ["", "/stage"]) func installedProgramsFindEachOther(_ stage: String)
      throws
    {
      let folder = TestFolder()
      let installed = try ProgramRun(
        "\(Self.scripts)/install-programs", [Bench.programs, "/opt/own", folder.path + stage]
      ).finish()
      try #require(installed.exit == .code(0), "\(installed.errors)")
      let prefix = "\(folder.path)\(stage)/opt/own"
      let doctor = try ProgramRun("\(prefix)/bin/volary", ["doctor"]).finish()
      #expect(doctor.output.contains("\(prefix)/libexec/volary/volary-machine"))
      #expect(doctor.output.contains("\(prefix)/libexec/volary/volary-nat"))
    }

    /// What the tests wrote comes as it was, and what failed comes last.
    @Test func failedTestsAreToldLast() throws {
      let folder = TestFolder()
      let lines = """
        ◇ Test one() started.
        ◇ Test "with a name" started.
        ◇ Test three(_:) started.
        ✘ Test one() recorded an issue at A.swift:1:2: Expectation failed: a == b
        ↳ first
        second
        ✔ Test passes() passed after 0.1 seconds.
        ✘ Test "with a name" recorded an issue with 1 argument x → 3 at B.swift:3:4: Caught error: e
        ✘ Test one() failed after 0.1 seconds with 1 issue.
        ✘ Test "with a name" with 2 test cases failed after 0.1 seconds with 1 issue.
        ✘ Test case passing 1 argument x → 3 to three(_:) recorded an issue: Time limit was exceeded
        ✘ Test long() recorded an issue at C.swift:1:2: Expectation failed: c
        \((1...20).map { "\($0)" }.joined(separator: "\n"))
        ✘ Suite X failed after 0.1 seconds.
        error: Process 'x' exited with unexpected signal code 11

        """
      let said = try folder.file("said", Array(lines.utf8))
      let run = "\(Self.scripts)/run-tests"
      // A process that is left behind holds nobody up.
      let left = "\(folder.path)/left"
      let failed = try ProgramRun(
        run, ["sh", "-c", "cat \"$0\"; sleep 1000 & echo $! >\"$1\"; exit 3", said, left]
      ).finish()
      let sleeper = try #require(
        Int32(try String(contentsOfFile: left, encoding: .utf8).trimmingCharacters(in: .newlines)))
      #expect(Bench.isAlive(sleeper))
      kill(sleeper, SIGKILL)
      #expect(failed.exit == .code(3) && failed.errors == "")
      #expect(
        failed.output == lines + """

          The tests failed, with code 3:
          ✘ one()
              A.swift:1:2: Expectation failed: a == b
                ↳ first
                second
          ✘ "with a name"
              B.swift:3:4: Caught error: e
          ✘ case passing 1 argument x → 3 to three(_:)
              Time limit was exceeded
          ✘ long()
              C.swift:1:2: Expectation failed: c
                1
                …
                12
                13
                14
                15
                16
                17
                18
                19
                20
          error: Process 'x' exited with unexpected signal code 11
          did not end: three(_:)

          """)
      let passed = try ProgramRun(run, ["cat", said]).finish()
      #expect(passed.exit == .code(0) && passed.output == lines)
      #expect(try ProgramRun(run, ["sh", "-c", "kill -SEGV $$"]).finish().code == 128 + SIGSEGV)
    }

    @Test func nothingToInstallIsTold() throws {
      let folder = TestFolder()
      let outcome = try ProgramRun(
        "\(Self.scripts)/install-programs", [folder.path, "/opt/own", folder.path]
      ).finish()
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: "\(folder.path)/volary", "make build"))
      #expect(folder.content.isEmpty)
    }
  }
}
