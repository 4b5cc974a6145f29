import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Commands in a machine: streams, exit codes, processors.
  @Suite(.serialized, .boots) struct JobTests {
    struct Setting: CustomTestStringConvertible {
      let engine: String
      let cpus: Int
      var testDescription: String { "\(engine), \(cpus) CPUs" }
    }

    /// Standard input comes back on both outputs, byte for byte, and the command's exit code is volary's.
    @Test(arguments: [
      Setting(engine: "translator", cpus: 1), Setting(engine: "translator", cpus: 4),
      Setting(engine: "interpreter", cpus: 2),
    ])
    func commandHasStreamsAndExitCode(_ setting: Setting) throws {
      let input = Bench.randomBytes(1 << 20)
      let machine = try VolaryRun.job(
        "cat >/tmp/in; cat /tmp/in; tail -c 100000 /tmp/in >&2; sha256sum </tmp/in >&2; nproc >&2; exit 7",
        options: ["--engine", setting.engine, "--cpus", "\(setting.cpus)"])
      let outcome = try machine.finish(input: input, within: 400)
      #expect(outcome.exit == .code(7))
      #expect(outcome.outputBytes == input)
      #expect(Array(outcome.errorBytes.prefix(100_000)) == Array(input.suffix(100_000)))
      let rest = String(decoding: outcome.errorBytes.dropFirst(100_000), as: UTF8.self)
      #expect(rest == "\(try Bench.sha256(input))  -\n\(setting.cpus)\n")
      #expect(machine.leftovers.isEmpty)
    }

    /// As a shell tells it: 128 and the signal's number.
    @Test func signalOfTheCommandIsItsExitCode() throws {
      let outcome = try VolaryRun.job("kill -TERM $$").finish(within: 200)
      #expect(outcome.exit == .code(128 + 15))
      #expect(outcome.errors == "")
    }

    @Test func fourProcessorsWorkAtOnce() throws {
      let zeroes = try Bench.sha256([UInt8](repeating: 0, count: 8_000_000))
      let machine = try VolaryRun.job(
        """
        for i in 1 2 3 4 5 6 7 8; do head -c 8000000 /dev/zero | sha256sum & done; wait
        awk '/^cpu[0-9]/ { if ($2 + $4 > 0) n++ } END { print n, "busy" }' /proc/stat
        dmesg | grep -icE 'warning|oops|bug:|rcu.*stall|lockup'
        """, options: ["--cpus", "4"])
      let outcome = try machine.finish(within: 300)
      let lines = outcome.output.split(separator: "\n").map(String.init)
      #expect(lines.filter { $0 == "\(zeroes)  -" }.count == 8)
      #expect(lines.suffix(2) == ["4 busy", "0"], "\(outcome.output) \(outcome.errors)")
    }
  }
}
