import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Instances whose machines are kept, memory and devices included: snapshots, stops and forks.
  @Suite(.serialized, .boots) struct StatefulTests {
    /// What a program of the guest's writes.
    static func output(_ house: TestHouse, _ name: String, _ command: String) throws -> String {
      let run = try house.run(["exec", name, "--", "sh", "-c", command])
      #expect(run.code == 0, "\(run.output) \(run.errors)")
      return run.output
    }

    static func launch(_ house: TestHouse, _ name: String, _ options: [String] = []) throws {
      try house.expect(
        [
          "launch", Bench.imageName, name, "--arch", "riscv64", "--cpus", "2", "--memory", "256MiB",
        ] + options)
    }

    /// Files of kept machines, whole or not.
    static func keptFiles(_ house: TestHouse) -> [String] {
      let instances = "\(house.folder.path)/instances"
      return (FileManager.default.enumerator(atPath: instances)?.allObjects as? [String] ?? []).filter {
        $0.contains("/kept/") && $0.split(separator: "/").count == 4
      }
    }

    @Test func goesBackAndGoesOn() throws {
      let house = try TestHouse()
      try Self.launch(house, "a")
      let mark = "cat /dev/shm/memory /root/disk"
      _ = try Self.output(house, "a", "echo one >/dev/shm/memory; echo one >/root/disk; sync")
      try house.expect(["snapshot", "create", "a", "early", "--stateful"])
      _ = try Self.output(house, "a", "echo two >/dev/shm/memory; echo two >/root/disk")
      let list = try house.run(["snapshot", "list", "a", "-f", "csv"])
      #expect(list.output.contains("early") && list.output.contains("YES"), "\(list.output)")
      try house.expect(["snapshot", "restore", "a", "early", "--stateful"])
      #expect(try Self.output(house, "a", mark) == "one\none\n")
      // Without memory it is the disk's moment alone, after a start of its own.
      _ = try Self.output(house, "a", "echo three >/dev/shm/memory")
      try house.expect(["snapshot", "restore", "a", "early"])
      #expect(try Self.output(house, "a", "cat /root/disk; ls /dev/shm | wc -l") == "one\n0\n")

      // Over a stop, another daemon, and a change of what the machine is to be.
      _ = try Self.output(house, "a", "echo four >/dev/shm/memory")
      try house.expect(["stop", "a", "--stateful"])
      #expect(try house.instance("a").exit == "kept")
      try house.killDaemon()
      try house.expect(["config", "set", "a", "limits.memory=128MiB"])
      try house.expect(["start", "a"])
      let time = try Self.output(house, "a", "sleep 1; date +%s").trimmingCharacters(
        in: .whitespacesAndNewlines)
      #expect(abs((Double(time) ?? 0) - Date().timeIntervalSince1970) < 120)
      #expect(try Self.output(house, "a", mark) == "four\none\n")
      #expect(Self.keptFiles(house).count == 3, "the snapshot's, and nothing of the stop's")

      // What was kept can be left, and then is gone.
      try house.expect(["stop", "a", "--stateful"])
      try house.expect(["start", "a", "--stateless"])
      #expect(try Self.output(house, "a", "ls /dev/shm | wc -l; cat /root/disk") == "0\none\n")
      try house.expect(["snapshot", "delete", "a", "early"])
      #expect(Self.keptFiles(house) == [])
      // A machine that does not run has no memory.
      try house.expect(["stop", "a", "--force"])
      try house.expect(["snapshot", "create", "a", "--stateful"], code: 5)
      try house.expect(["delete", "a"])
      #expect(house.instanceFolders == [])
    }

    /// What no machine can go on from is told before the one that runs, and its disk, are given up for it.
    @Test func whatRunsIsNotGivenUpForNothing() throws {
      let house = try TestHouse()
      try Self.launch(house, "a")
      // A version that is not ours: of the whole, which comes first, and of a part.
      func raise(_ file: Descriptor, backwards: Bool) throws {
        var bytes = Data(try file.read(Int(try file.size()), at: 0))
        let place = try #require(
          bytes.range(of: Data("version\u{1}".utf8), options: backwards ? .backwards : []))
        bytes[place.upperBound - 1] = 2
        try file.writeAll([UInt8](bytes)[...], at: 0)
      }
      let damages: [(file: String, words: String, damage: (Descriptor) throws -> Void)] = [
        ("state", "it ends too early", { try $0.truncate(to: try $0.size() / 2) }),
        ("state", "the state is damaged", { try $0.truncate(to: 0) }),
        ("state", "the state was kept in version 2", { try raise($0, backwards: false) }),
        ("state", "was kept in version 2 by Volary", { try raise($0, backwards: true) }),
        ("memory", "the guest's memory is not whole", { try $0.truncate(to: 1 << 20) }),
      ]
      for (number, (file, words, damage)) in damages.enumerated() {
        try house.expect(["snapshot", "create", "a", "s", "--stateful"])
        _ = try Self.output(house, "a", "echo \(number) | tee /dev/shm/memory >/root/disk")
        let path = try #require(Self.keptFiles(house).first { $0.hasSuffix("/" + file) })
        try damage(try Descriptor.open("\(house.folder.path)/instances/\(path)", O_RDWR))
        let refused = try house.run(["snapshot", "restore", "a", "s", "--stateful"])
        #expect(refused.code == 1 && refused.errors.isOneLine(naming: words, "`s`"), "\(refused.errors)")
        #expect(
          try Self.output(house, "a", "cat /dev/shm/memory /root/disk") == "\(number)\n\(number)\n")
        try house.expect(["snapshot", "delete", "a", "s"])
      }
    }

    /// What is there of a kept machine may be damaged; then it says so, and can be started anew.
    @Test func damagedStateIsRefused() throws {
      let house = try TestHouse()
      try Self.launch(house, "a")
      _ = try Self.output(house, "a", "echo one >/root/disk; sync")
      try house.expect(["stop", "a", "--stateful"])
      let state = try #require(Self.keptFiles(house).first { $0.hasSuffix("/state") })
      let file = try Descriptor.open("\(house.folder.path)/instances/\(state)", O_RDWR)
      try file.truncate(to: try file.size() / 2)
      let refused = try house.run(["start", "a"])
      #expect(
        refused.code == 1 && refused.errors.contains("the state is damaged (it ends too early)"),
        "\(refused.errors)")
      #expect(refused.errors.split(separator: "\n").count == 1)
      try house.expect(["start", "a", "--stateless"])
      #expect(try Self.output(house, "a", "cat /root/disk") == "one\n")
    }

    @Test func forksRunOnTheirOwn() throws {
      let house = try TestHouse()
      // A port of the host's stays the first one's.
      let (socket, port) = try Loopback.listen()
      _ = consume socket
      try Self.launch(house, "a", ["--publish", "\(port):22"])
      _ = try Self.output(
        house, "a",
        "echo one >/dev/shm/memory; echo one >/root/disk; echo 0123456789abcdef0123456789abcdef >/etc/machine-id"
      )
      try house.expect(["fork", "a", "b"])
      try house.expect(["fork", "b", "c"])
      // Whichever daemon it is, one tells the guest who it is.
      try house.killDaemon()
      let who = "hostname; cat /etc/machine-id; cat /sys/class/net/eth0/address"
      var known: Set<String> = []
      for name in ["a", "b", "c"] {
        #expect(try Self.output(house, name, "cat /dev/shm/memory /root/disk") == "one\none\n")
        #expect(
          try Bench.eventually { try Self.output(house, name, "hostname") == "\(name)\n" },
          "\(name)")
        known.formUnion(try Self.output(house, name, who).split(separator: "\n").map(String.init))
      }
      #expect(known.count == 9, "\(known)")
      for name in ["a", "b", "c"] {
        _ = try Self.output(house, name, "echo \(name) >/dev/shm/memory; echo \(name) >/root/disk; sync")
      }
      // One that others came from may go.
      try house.expect(["delete", "-f", "a"])
      for name in ["b", "c"] {
        #expect(try Self.output(house, name, "cat /dev/shm/memory /root/disk") == "\(name)\n\(name)\n")
      }
      try house.expect(["restart", "b"])
      #expect(try Self.output(house, "b", "cat /root/disk") == "b\n")
      try house.expect(["stop", "-f", "b"])
      try house.expect(["fork", "b", "d"], code: 5)
      try house.expect(["delete", "-f", "b", "c"])
      #expect(house.instanceFolders == [])
      #expect(try house.run(["list", "-q"]).output == "")
    }

    /// A daemon that is killed while a machine is kept leaves the machine running, and nothing half made.
    @Test func daemonsMayDieMeanwhile() throws {
      let house = try TestHouse()
      try Self.launch(house, "a")
      for round in 0..<4 {
        _ = try Self.output(house, "a", "echo \(round) >/dev/shm/memory; echo \(round) >/root/disk")
        let command = try house.begin(["snapshot", "create", "a", "s\(round)", "--stateful"])
        usleep(UInt32(40_000 * round))
        try house.killDaemon()
        _ = try command.finish(within: 60)
        #expect(try Self.output(house, "a", "cat /dev/shm/memory /root/disk") == "\(round)\n\(round)\n")
        let whole = try house.run(["snapshot", "list", "a", "-f", "csv"]).output.contains("s\(round)")
        #expect(Self.keptFiles(house).count % 3 == 0)
        if whole {
          try house.expect(["snapshot", "restore", "a", "s\(round)", "--stateful"])
          #expect(try Self.output(house, "a", "cat /dev/shm/memory /root/disk") == "\(round)\n\(round)\n")
        }
      }
    }
  }
}
