import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Commands and files in instances, by the agent that their guests get from the host.
  @Suite(.serialized, .boots) struct GuestAgentTests {
    private static let launch = [
      "launch", Bench.imageName, "web", "--arch", "riscv64", "--memory", "256MiB",
    ]

    @Test func commandsWithStreams() throws {
      let house = try TestHouse()
      try house.expect(Self.launch)
      // At once: the guest is still on its way.
      let both = try house.run(["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 9"])
      #expect(both.output == "out\n")
      #expect(both.errors == "err\n")
      #expect(both.code == 9)
      let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 * 13 ^ $0 >> 7) }
      let copy = try house.run(["exec", "web", "--", "cat"], bytes: bytes)
      let isSame = copy.outputBytes == bytes
      #expect(isSame, "\(copy.outputBytes.count) bytes; \(copy.errors)")
      let missing = try house.run(["exec", "web", "--", "no-such-program"])
      #expect(missing.code == 127)
      #expect(missing.errors.contains("no-such-program"))
      let identity = try house.run(
        [
          "exec", "web", "--user", "65534", "--cwd", "/tmp", "--env", "A=b c", "--", "sh", "-c",
          "id -u; pwd; echo $A",
        ])
      #expect(identity.output == "65534\n/tmp\nb c\n")
      // One that ends while input goes on.
      let early = try house.begin(["exec", "web", "--", "echo", "here"])
      #expect(try early.awaitOutput("here", within: 60))
      #expect(early.wait() == .code(0))
      // A signal goes to the program in the guest, which says how it ended.
      let sleeping = try house.begin(["exec", "web", "--", "sh", "-c", "echo here; exec sleep 1000"])
      #expect(try sleeping.awaitOutput("here", within: 60))
      kill(sleeping.process.identifier, SIGTERM)
      #expect(try sleeping.finish(within: 60).code == 128 + 15)
      // Who is killed takes it along.
      let killed = try house.begin(["exec", "web", "--", "sh", "-c", "echo here; exec sleep 2000"])
      #expect(try killed.awaitOutput("here", within: 60))
      kill(killed.process.identifier, SIGKILL)
      #expect(
        try Bench.eventually {
          try house.run(["exec", "web", "--", "pgrep", "-f", "sleep [2]000"]).code == 1
        })

      // What its addresses are is known without the guest being asked.
      #expect(
        try Bench.eventually {
          try house.run(["list", "-f", "csv", "-c", "n4"]).output.contains("web,10.0.2.15 (eth0)")
        })
      // A daemon that comes later finds the agent, and the guest its end.
      try house.killDaemon()
      let again = try house.run(["exec", "web", "--", "hostname"])
      #expect(again.output == "web\n", "\(again.errors)")
      try house.expect(["pause", "web"])
      try house.expect(["exec", "web", "--", "true"], code: 5, naming: "resume")
      try house.expect(["resume", "web"])
      try house.expect(["stop", "web", "--timeout", "100"])
      #expect(try house.instance("web").exit == "stopped")
      try house.expect(["exec", "web", "--", "true"], code: 5, naming: "start it first")
    }

    /// An image without cloud-init: its first process lets keys in, and the disk for cloud-init is there to be read.
    @Test func keysAndDataAtTheFirstStart() throws {
      let house = try TestHouse()
      let blob = Data(repeating: 7, count: 51).base64EncodedString()
      let keys = try house.folder.file(
        "mine.pub", Array("# mine\nssh-ed25519 \(blob) it's\nssh-rsa \(blob)\n".utf8))
      let data = try house.folder.file("data", Array("#cloud-config\npackages: [curl]\n".utf8))
      try house.expect(
        Self.launch + ["--cloud-init", data], code: 2, naming: "has no cloud-init")
      try house.expect(Self.launch + ["--cloud-init", "\(data)-not"], code: 4, naming: "\(data)-not")
      try house.expect(Self.launch + ["--ssh-key", data], code: 2, naming: "public keys")
      try house.expect(
        Self.launch + ["-c", "cloud-init.ssh-keys.a=root:x"], code: 2, naming: "cloud-init.ssh-keys.a")
      #expect(try house.run(["list", "-q"]).output == "")
      // What all are told, those without cloud-init are told too.
      try house.expect(["profile", "create", "all", "cloud-init.user-data=#!/bin/sh\necho it's me\n"])
      try house.expect(
        Self.launch + ["-p", "default", "-p", "all", "--ssh-key", keys])
      func ask(_ script: String) throws -> String {
        try house.run(["exec", "web", "--", "sh", "-c", script]).output
      }
      let authorized = "ssh-ed25519 \(blob) it's\nssh-rsa \(blob)\n600\n"
      let question = "cat .ssh/authorized_keys; stat -c %a .ssh/authorized_keys"
      #expect(try ask(question) == authorized)
      #expect(
        try ask(
          "mount -o ro /dev/disk/by-label/cidata /mnt 2>/dev/null || mount -o ro /dev/vdb /mnt; ls /mnt; head -c 500 /mnt/meta-data"
        )
        .hasPrefix("meta-data\nuser-data\n{\"instance-id\":\""))
      #expect(try ask("cat /mnt/user-data").contains("\n\n#!/bin/sh\necho it's me\n\n--"))
      #expect(try ask("echo x >/dev/vdb").isEmpty)
      #expect(try ask("cat /etc/hostname; umount /mnt") == "web\n")
      try house.expect(["stop", "web", "--timeout", "100"])
      try house.expect(["rename", "web", "other"])
      try house.expect(["start", "other"])
      #expect(
        try house.run(["exec", "other", "--", "sh", "-c", "\(question); cat /etc/hostname"]).output
          == authorized + "other\n")
    }

    @Test func aTerminal() throws {
      let house = try TestHouse()
      try house.expect(Self.launch)
      let terminal = try PseudoTerminal(columns: 91, rows: 33)
      let before = terminal.attributes
      let shell = try house.sit(at: terminal, ["shell", "web"])
      #expect(terminal.awaitScreen("# ", within: 100), "\(terminal.screen)")
      terminal.type("stty size; tty; echo $TERM\r")
      #expect(terminal.awaitScreen("33 91\r\n/dev/pts/0\r\nxterm", within: 60), "\(terminal.screen)")
      terminal.resize(columns: 101, rows: 44)
      kill(shell.identifier, SIGWINCH)
      terminal.type("sleep 1; stty size\r")
      #expect(terminal.awaitScreen("44 101", within: 60), "\(terminal.screen)")
      terminal.type("sleep 1000\r")
      usleep(500_000)
      terminal.type("\u{3}")
      // A shell may throw away what is typed while it takes note of that.
      #expect(
        Bench.eventually {
          terminal.type("echo a$((40+2))\r")
          return terminal.awaitScreen("a42", within: 2)
        }, "\(terminal.screen)")
      terminal.type("exit 5\r")
      #expect(shell.wait(milliseconds: 100_000) == .code(5), "\(terminal.screen)")
      #expect(terminal.attributes == before)
    }

    @Test func files() throws {
      let house = try TestHouse()
      try house.expect(Self.launch)
      let here = TestFolder()
      let bytes = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 * 5 ^ $0 >> 11) }
      try FileManager.default.createDirectory(
        atPath: "\(here.path)/site/css", withIntermediateDirectories: true)
      try Data(bytes).write(to: URL(fileURLWithPath: "\(here.path)/site/big"))
      try Data("body {}".utf8).write(to: URL(fileURLWithPath: "\(here.path)/site/css/a.css"))
      try FileManager.default.createSymbolicLink(
        atPath: "\(here.path)/site/link", withDestinationPath: "css/a.css")
      chmod("\(here.path)/site/css/a.css", 0o640)

      try house.expect(["file", "push", "-r", "-p", "\(here.path)/site", "web/srv/www/"])
      let look = try house.run([
        "exec", "web", "--", "sh", "-c", "cd /srv/www/site; stat -c %a css/a.css; readlink link; wc -c <big",
      ])
      #expect(look.output == "640\ncss/a.css\n2000000\n")
      try house.expect(["file", "pull", "-r", "web/srv/www/site", "\(here.path)/back"])
      let isSame = try Data(contentsOf: URL(fileURLWithPath: "\(here.path)/back/big")) == Data(bytes)
      #expect(isSame)
      #expect(try String(contentsOfFile: "\(here.path)/back/css/a.css", encoding: .utf8) == "body {}")
      #expect(
        try FileManager.default.destinationOfSymbolicLink(atPath: "\(here.path)/back/link") == "css/a.css")

      #expect(
        try house.run(
          ["file", "push", "-", "web/root/note", "--uid", "7", "--mode", "0600"], input: "hi"
        ).code == 0)
      #expect(try house.run(["exec", "web", "--", "stat", "-c", "%u %a", "/root/note"]).output == "7 600\n")
      #expect(try house.run(["file", "pull", "web/root/note", "-"]).output == "hi")
      // Files of the kernel's have no size, and content.
      #expect(try house.run(["file", "pull", "web/proc/sys/kernel/hostname", "-"]).output == "web\n")
      try house.expect(["file", "delete", "web/root/note"])
      try house.expect(["file", "pull", "web/root/note", "-"], code: 4, naming: "/root/note")
      try house.expect(["file", "pull", "web/srv", "\(here.path)/x"], code: 2, naming: "--recursive")
      try house.expect(["file", "push", "/no/such", "web/root/"], code: 4, naming: "/no/such")
    }
  }
}
