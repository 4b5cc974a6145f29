import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Instances, over the command line: the daemon starts by itself, and its machines outlive it.
  @Suite(.serialized, .boots) struct DaemonTests {
    @Test func anInstanceFromItsBeginningToItsEnd() throws {
      let house = try TestHouse()
      try house.expect(
        [
          "launch", Bench.imageName, "web", "--arch", "riscv64", "--cpus", "2", "--memory", "256MiB", "-c",
          "user.note=a b",
        ])
      let list = try house.run(["list", "-f", "csv", "-c", "nsa"])
      #expect(list.code == 0)
      #expect(list.output.contains("web,RUNNING,riscv64"), "\(list.output) \(list.errors)")
      #expect(
        try house.type("web", "echo $((6*7)) of $(nproc) >/kept; hostname; cat /kept", until: "42 of 2\r\n")
          .contains("web"))

      // Its disk stays, its memory does not.
      try house.expect(["stop", "web"])
      #expect(try house.instance("web").exit == "stopped")
      #expect(try house.run(["stop", "web"]).code == 5)
      try house.expect(["config", "set", "web", "limits.cpu=1"])
      try house.expect(["start", "web"])
      #expect(try house.type("web", "cat /kept; nproc", until: "42 of 2\r\n1\r\n").contains("42 of 2"))

      try house.expect(["pause", "web"])
      #expect(try house.instance("web").status == "Frozen")
      try house.expect(["resume", "web"])
      try house.expect(["rename", "web", "shop"], code: 5)
      try house.expect(["stop", "web", "--force"])
      #expect(try house.instance("web").exit == "killed")
      try house.expect(["rename", "web", "shop"])
      #expect(try house.run(["console", "shop", "--show-log"]).output.contains("42 of 2"))
      try house.expect(["delete", "shop"])
      #expect(try house.run(["list", "-q"]).output == "")
      #expect(house.instanceFolders == [])
    }

    /// Killed daemons and killed machines, in each order.
    @Test func machinesOutliveTheDaemon() throws {
      let house = try TestHouse()
      for name in ["one", "two"] {
        try house.expect([
          "launch", Bench.imageName, name, "--arch", "riscv64", "--memory", "128MiB", "-n", "none",
        ])
      }
      let (one, two) = (try house.instance("one").pid, try house.instance("two").pid)
      // Not the tests' own group.
      try #require(one > 1 && two > 1)
      _ = try house.type("one", "echo was=$((20+2)) >/run/mark; cat /run/mark", until: "was=22")
      try house.killDaemon()
      #expect(Bench.isAlive(one) && Bench.isAlive(two))
      kill(two, SIGKILL)
      #expect(Bench.eventually { !Bench.isAlive(two) })
      // The next command's daemon finds one of them, and says of the other what became of it.
      #expect(try house.instance("one").pid == one)
      #expect(try house.type("one", "cat /run/mark", until: "was=22").contains("was=22"))
      let ended = try house.instance("two")
      #expect(ended.status == "Stopped" && ended.exit == "process-ended", "\(ended)")
      try house.expect(["start", "two"])
      kill(one, SIGKILL)
      #expect(try Bench.eventually { try house.instance("one").status == "Stopped" })
      #expect(try house.instance("one").exit == "process-ended")
      // A daemon that ends in order leaves them running too.
      let third = try house.instance("two").pid
      try house.endDaemon()
      #expect(Bench.isAlive(third))
      try house.expect(["delete", "two", "--force"])
      #expect(Bench.eventually { !Bench.isAlive(third) })
      try house.expect(["delete", "one"])
      #expect(house.instanceFolders == [])
    }

    /// A daemon that is killed again and again amid operations; `make soak` has thousands of them.
    @Test func nothingIsLostWhenItIsKilled() throws {
      let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Soak/crash")
      let outcome = try ProgramRun(
        "/usr/bin/env",
        [
          "python3", script.path(percentEncoded: false), "--programs", Bench.programs, "--data", Bench.data,
          "--operations", "100",
        ]
      ).finish(within: 400)
      #expect(
        outcome.code == 0 && outcome.output.contains("nothing lost"), "\(outcome.output)\(outcome.errors)")
    }

    @Test func portsLeadToTheGuest() throws {
      let house = try TestHouse()
      let (socket, port) = try Loopback.listen()
      _ = consume socket
      try house.expect(
        [
          "launch", Bench.imageName, "net", "--arch", "riscv64", "--memory", "256MiB", "--ephemeral",
          "--publish", "\(port):80",
        ])
      // It goes into the background when it listens.
      _ = try house.type(
        "net", "/usr/lib/volary/busybox httpd -p 80 -h /etc; echo up=$((1+1))", until: "up=2")
      let run = try ProgramRun("/usr/bin/curl", ["-s", "-m", "120", "http://127.0.0.1:\(port)/hostname"])
      _ = try run.finish()
      let whole = try ProgramRun("/usr/bin/curl", ["-s", "-m", "120", "http://127.0.0.1:\(port)/os-release"])
        .finish()
      #expect(whole.output.contains("Debian"), "\(whole.output) \(whole.errors)")
      // What is ephemeral goes when it stops.
      try house.expect(["stop", "net"])
      #expect(try Bench.eventually { try house.run(["list", "-q"]).output == "" })
      #expect(Bench.eventually { house.instanceFolders == [] })
    }

    /// What Incus's clients ask for to make an instance: an alias, its image, an instance of that fingerprint.
    @Test func imagesAndWhatInstancesUse() throws {
      let house = try TestHouse()
      let alias = Bench.imageName.replacing("/", with: "%2F") + "%2Friscv64"
      let found = try house.run(["query", "/1.0/images/aliases/\(alias)"]).output
      let fingerprint = try #require(try found.firstMatch(of: Regex("[0-9a-f]{64}"))).0
      #expect(try house.run(["query", "/1.0/images/\(fingerprint)"]).output.contains(Bench.imageName))
      try house.expect(["query", "/1.0/images/0123456789abcdef"], code: 4, naming: "there is no image")
      try house.expect([
        "query", "-X", "POST", "--wait", "/1.0/instances", "-d",
        """
        {"name": "made", "architecture": "", "start": true, "config": {"limits.memory": "128MiB"},
         "source": {"type": "image", "fingerprint": "\(fingerprint.prefix(12))", "alias": ""}}
        """,
      ])
      let list = try house.run(["query", "/1.0/instances?recursion=2"]).output
      #expect(list.contains("\"hwaddr\"") && list.contains("\"usage\""), "\(list)")
      let top = try house.run(["top", "--delay", "0.5"]).output.split(separator: "\n")
      #expect(top.count == 2 && top[0].hasPrefix("NAME") && top[1].hasPrefix("made"), "\(top)")
      #expect(
        try house.run(["---completion", "stop", "--", "positional@0", "0", "0", "ma"]).output == "made\n")
      let metrics = try house.run(["query", "/metrics"]).output
      #expect(metrics.contains(#"volary_instance_up{name="made",project="default"} 1"#), "\(metrics)")
      #expect(
        metrics.contains(#"volary_instance_memory_limit_bytes{name="made",project="default"} 134217728"#))
      try house.expect(["delete", "made", "--force"])
    }

    /// The daemon's own configuration, and tokens, from the command line.
    @Test func opensToTheNetwork() throws {
      let house = try TestHouse()
      try house.expect(["project", "list"])
      try house.expect(["project", "create", "lab", "-c", "limits.instances=1"])
      #expect(try house.run(["project", "list", "-f", "csv"]).output.contains("lab,,limits.instances=1,0"))
      try house.expect(["project", "delete", "lab"])
      try house.expect(["operation", "show", "x"], code: 4, naming: "no operation")
      try house.expect(["monitor", "--since", "1"], code: 1, naming: "read the present state")
      try house.expect(["token", "create", "early", "--client"], code: 5, naming: "core.https_address")
      try house.expect(["config", "set", "core.https_address=127.0.0.1:0"])
      #expect(try house.run(["config", "get", "core.https_address"]).output == "127.0.0.1:0\n")
      let token = try house.run(["token", "create", "grafana", "--role", "monitor", "--expires", "1h"]).output
      #expect(token.hasPrefix("volary_"))
      #expect(try house.run(["token", "list", "-f", "csv"]).output.contains("grafana,monitor,all,BEARER,"))
      let server = try house.run(["query", "/1.0"]).output
      let address = try #require(try server.firstMatch(of: Regex(#"127\.0\.0\.1:[1-9][0-9]+"#))).0
      let metrics = try ProgramRun(
        "/usr/bin/curl",
        [
          "-sS", "-m", "120", "--cacert", "\(house.folder.path)/server.crt", "-H",
          "Authorization: Bearer \(token.trimmingCharacters(in: .whitespacesAndNewlines))",
          "https://\(address)/metrics",
        ]
      ).finish()
      #expect(metrics.output.contains("volary_build_info{"), "\(metrics.output) \(metrics.errors)")
      try house.expect(["token", "delete", "grafana"])
      try house.expect(["token", "delete", "grafana"], code: 4, naming: "grafana")
      try house.expect(["token", "create", "x", "--expires", "soon"], code: 2, naming: "soon")
      try house.expect(["config", "unset", "core.https_address"])
      #expect(try house.run(["config", "get", "core.https_address"]).output == "\n")
    }

    /// A command that finds no daemon starts one at once, and waits for nobody's ten seconds to be over. Where the
    /// host has much else to do it may, but not each time.
    @Test func aDaemonIsStartedAtOnce() throws {
      var times: [Duration] = []
      repeat {
        let house = try TestHouse()
        times.append(try ContinuousClock().measure { try house.expect(["project", "list"]) })
      } while times.count < 5 && times.allSatisfy { $0 >= .seconds(9) }
      #expect(times.contains { $0 < .seconds(9) }, "\(times)")
    }

    /// The address of the web page, with a token in it; two daemons do not come into each other's way.
    @Test func printsAnAddressOfThePage() throws {
      let houses = [try TestHouse(), try TestHouse()]
      let form = try Regex(#"^(https://127\.0\.0\.1:[1-9][0-9]+)/ui/#token=(volary_[0-9a-f]{64})\n$"#)
      for house in houses {
        let made = try house.run(["page", "--role", "monitor", "--expires", "1h"])
        #expect(made.code == 0 && made.errors.contains("core.https_address is set to 127.0.0.1:"))
        let match = try #require(try form.firstMatch(in: made.output), "\(made.output) \(made.errors)")
        let (base, token) = (String(match[1].substring ?? ""), String(match[2].substring ?? ""))
        func ask(_ arguments: [String]) throws -> String {
          try ProgramRun(
            "/usr/bin/curl",
            [
              "-sS", "-m", "20", "--cacert", "\(house.folder.path)/server.crt", "-o", "/dev/null", "-w",
              "%{http_code}", "-H", "Authorization: Bearer \(token)",
            ] + arguments
          ).finish().output
        }
        #expect(try ask(["\(base)/ui/"]) == "200")
        #expect(try ask(["\(base)/1.0/instances"]) == "200")
        #expect(try ask(["-X", "PATCH", "-d", "{}", "\(base)/1.0"]) == "403")
        // Where it listens is left as it is, and each address has a token of its own.
        let again = try house.run(["page"])
        #expect(again.output.hasPrefix(base) && !again.output.contains(token))
        #expect(!again.errors.contains("is set to"))
        #expect(try house.run(["token", "list", "-f", "csv"]).output.contains(",monitor,all,BEARER,"))
      }
      try houses[0].expect(["page", "--expires", "soon"], code: 2, naming: "soon")
      try houses[0].expect(["page", "--role", "king"], code: 2, naming: "admin")
    }

    @Test func refusals() throws {
      let house = try TestHouse()
      try house.expect(["launch", "debian/1", "a"], code: 4, naming: "debian/1")
      try house.expect(["launch", Bench.imageName, "a b", "--arch", "riscv64"], code: 2, naming: "a b")
      try house.expect(
        ["launch", Bench.imageName, "a", "--arch", "riscv64", "-c", "limits.cpus=2"], code: 2,
        naming: "limits.cpus")
      try house.expect(
        ["launch", Bench.imageName, "a", "--arch", "riscv64", "--cpus", "99"], code: 2, naming: "limits.cpu")
      try house.expect(
        ["launch", Bench.imageName, "a", "--arch", "riscv64", "--disk", "1GiB"], code: 2, naming: "smaller")
      try house.expect(
        ["launch", Bench.imageName, "a", "--arch", "riscv64", "--memory", "1TiB"], code: 2,
        naming: "limits.memory")
      try house.expect(["start", "nobody"], code: 4, naming: "nobody")
      try house.expect(["console", "nobody"], code: 4, naming: "nobody")
      try house.expect(["list", "--project", "none"], code: 4, naming: "none")
    }
  }
}

/// A data directory with a daemon of its own, and the image of the tests in it. Gone with the object, machines too.
final class TestHouse {
  let folder = TestFolder()
  /// A name that shells pass on too.
  private let token = "VOLARY_TEST_HOUSE_\(UUID().uuidString.replacing("-", with: "_"))"
  /// Beside what makes it this house.
  var additions: [String: String] = [:]
  var environment: [String: String] {
    ["VOLARY_DATA": folder.path, "VOLARY_SOCKET": "", token: "1"].merging(additions) { $1 }
  }
  /// The processes of its machines.
  var machines: [Int32] {
    Bench.processes(withToken: token).filter { pid in
      (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) == "volary-machine\n"
    }
  }

  init() throws {
    try FileManager.default.createSymbolicLink(
      atPath: "\(folder.path)/images", withDestinationPath: "\(Bench.data)/images")
  }

  /// With an image `tiny` in place of the tests' own: a kernel of a few instructions, which is up at once.
  init(withTinyImage: Void) throws {
    let kernel = try folder.file("tiny", TinyImage.file)
    try expect(["image", "import", "tiny", "--kernel", kernel])
  }

  deinit {
    for pid in Bench.processes(withToken: token) { kill(pid, SIGKILL) }
    _ = Bench.eventually { Bench.processes(withToken: token).isEmpty }
  }

  func run(_ arguments: [String], input: String = "") throws -> ProgramRun.Outcome {
    try begin(arguments).finish(input: Array(input.utf8), within: 200)
  }

  /// A command that goes on.
  func begin(_ arguments: [String]) throws -> ProgramRun {
    try ProgramRun("\(Bench.programs)/volary", arguments, environment: environment)
  }

  /// A command at a terminal.
  func sit(at terminal: PseudoTerminal, _ arguments: [String]) throws -> ChildProcess {
    let all = Bench.environment.merging(environment) { $1 }.merging(["TERM": "xterm"]) { $1 }
    return try ChildProcess(
      path: "\(Bench.programs)/volary", arguments: ["volary"] + arguments,
      descriptors: [terminal.program, terminal.program, terminal.program],
      environment: all.map { "\($0)=\($1)" })
  }

  /// With bytes that are no text.
  func run(_ arguments: [String], bytes: [UInt8]) throws -> ProgramRun.Outcome {
    try begin(arguments).finish(input: bytes, within: 200)
  }

  /// Runs a command that has to end with a code, in one line if it fails.
  func expect(_ arguments: [String], code: Int32 = 0, naming word: String? = nil) throws {
    let outcome = try run(arguments)
    #expect(outcome.code == code, "\(arguments): \(outcome.errors)")
    if let word { #expect(outcome.errors.isOneLine(naming: word), "\(arguments): \(outcome.errors)") }
  }

  /// Types a line on an instance's console and waits for an answer. Returns all that came.
  func type(_ name: String, _ line: String, until answer: String) throws -> String {
    let console = try ProgramRun("\(Bench.programs)/volary", ["console", name], environment: environment)
    defer { console.process.terminate() }
    // The shell may still be on its way.
    for _ in 0..<200 {
      console.type("\n")
      if try console.awaitOutput("# ", within: 1) { break }
    }
    console.type(line + "\n")
    #expect(try console.awaitOutput(answer, within: 200), "\(console.output)")
    return console.output
  }

  struct Instance {
    var status: String
    var pid: Int32
    var exit: String?
  }

  /// An object of the REST API.
  func get(_ path: String) throws -> [String: Any] {
    let outcome = try run(["query", path])
    let value = try JSONSerialization.jsonObject(with: Data(outcome.outputBytes))
    return try #require(value as? [String: Any], "\(outcome.errors)")
  }

  func instance(_ name: String) throws -> Instance {
    let object = try get("/1.0/instances/\(name)")
    let state = try get("/1.0/instances/\(name)/state")
    return Instance(
      status: try #require(object["status"] as? String), pid: Int32(state["pid"] as? Int ?? 0),
      exit: (object["exit"] as? [String: Any])?["reason"] as? String)
  }

  var instanceFolders: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/instances")) ?? []
    return names.filter { $0 != "boot" }
  }

  private func daemon() throws -> Int32 {
    let text = try String(contentsOfFile: "\(folder.path)/volaryd.lock", encoding: .utf8)
    return try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
  }

  func killDaemon() throws { try end(SIGKILL, within: 120) }
  func endDaemon(within seconds: Double = 20) throws { try end(SIGTERM, within: seconds) }

  private func end(_ signal: Int32, within seconds: Double) throws {
    let pid = try daemon()
    kill(pid, signal)
    #expect(Bench.eventually(within: seconds) { !Bench.isAlive(pid) })
  }
}
