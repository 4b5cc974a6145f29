import Foundation
import HostPrograms
import Testing

extension EndToEndTests {
  /// Profiles, over the command line, with machines of a few instructions.
  @Suite(.serialized, .runsPrograms) struct InstanceProfileTests {
    private func strings(_ object: [String: Any], _ key: String) -> [String: String] {
      object[key] as? [String: String] ?? [:]
    }

    private func curl(_ house: TestHouse, _ arguments: [String]) throws -> String {
      let fixed = ["-sS", "-i", "--unix-socket", "\(house.folder.path)/volaryd.sock"]
      return try ProgramRun("curl", fixed + arguments).finish().output
    }

    /// Somebody's change is in the way of another; what comes and goes by itself is not.
    @Test func changesAreMadeOverWhatWasRead() throws {
      let house = try TestHouse(withTinyImage: ())
      try house.expect(["launch", "tiny", "a"])
      let url = "http://localhost/1.0/instances/a"
      let head = try curl(house, [url]).split(separator: "\r\n")
      let line = try #require(head.first { $0.lowercased().hasPrefix("etag:") })
      let tag = String(line.dropFirst(5)).trimmingCharacters(in: .whitespaces)
      // It is another state of it, of which this one is not known yet.
      try house.expect(["pause", "a"])
      #expect(try curl(house, ["-H", "If-None-Match: \(tag)", url]).hasPrefix("HTTP/1.1 200"))
      let patch = ["-X", "PATCH", "-H", "If-Match: \(tag)", "-d", #"{"config":{"user.a":"b"}}"#, url]
      #expect(try curl(house, patch).hasPrefix("HTTP/1.1 200"))
      #expect(try curl(house, patch).hasPrefix("HTTP/1.1 412"))
      #expect(strings(try house.get("/1.0/instances/a"), "config")["user.a"] == "b")
    }

    private func network(_ object: [String: Any]) -> String? {
      (object["expanded_devices"] as? [String: [String: String]])?["eth0"]?["network"]
    }

    @Test func instancesAreWhatTheirProfilesSay() throws {
      let house = try TestHouse(withTinyImage: ())
      #expect(try house.run(["profile", "list", "-f", "csv"]).output.contains("default,What instances have"))
      try house.expect([
        "profile", "create", "big", "limits.memory=96MiB", "user.a=big", "-d", "eth0,network=none",
      ])
      try house.expect(["profile", "create", "wide", "-c", "limits.cpu=2", "--description", "two CPUs"])
      try house.expect([
        "launch", "tiny", "a", "-p", "default", "-p", "big", "-p", "wide", "-c", "user.a=own",
      ])
      var a = try house.get("/1.0/instances/a")
      #expect(a["profiles"] as? [String] == ["default", "big", "wide"])
      #expect(strings(a, "config")["limits.memory"] == nil)
      #expect(strings(a, "expanded_config")["limits.memory"] == "96MiB")
      #expect(strings(a, "expanded_config")["user.a"] == "own")
      #expect(network(a) == "none")
      // What it is made of is what its machine has.
      let total = (try house.get("/1.0/instances/a/state")["memory"] as? [String: Any])?["total"] as? Int
      #expect(total == 96 << 20)
      #expect(try house.run(["profile", "show", "big"]).output.contains(#""/1.0/instances/a""#))

      // A change is for the next start, and who runs is named.
      let set = try house.run(["profile", "set", "big", "limits.memory=128MiB"])
      #expect(
        set.code == 0 && set.errors.contains("a: it was started with another configuration (limits.memory)"))
      #expect(try house.run(["list", "-f", "csv"]).output.contains("takes the new one at its next start"))
      try house.expect(["restart", "a", "--force"])
      a = try house.get("/1.0/instances/a")
      #expect((a["conditions"] as? [Any])?.isEmpty == true)
      #expect(
        (try house.get("/1.0/instances/a/state")["memory"] as? [String: Any])?["total"] as? Int == 128 << 20)

      // What a member could not have is refused, and named.
      try house.expect(["profile", "set", "big", "limits.memory=lots"], code: 2, naming: "limits.memory")
      try house.expect(["profile", "set", "wide", "limits.cpu=9"], code: 2, naming: "the instance `a`")
      try house.expect(["profile", "set", "big", "limits.moon=1"], code: 2, naming: "limits.moon")
      try house.expect(["profile", "delete", "big"], code: 5, naming: "`a` has the profile")
      try house.expect(["profile", "rename", "big", "large"])
      #expect(
        try house.get("/1.0/instances/a")["profiles"] as? [String] == ["default", "large", "wide"])

      try house.expect(["profile", "remove", "a", "large"])
      try house.expect(["profile", "remove", "a", "large"], code: 4, naming: "large")
      #expect(network(try house.get("/1.0/instances/a")) == "nat")
      try house.expect(["profile", "add", "a", "large"])
      #expect(try house.get("/1.0/instances/a")["profiles"] as? [String] == ["default", "wide", "large"])
      try house.expect(["profile", "add", "a", "large"], code: 2, naming: "twice")
      try house.expect(["profile", "assign", "a", "wide"])
      try house.expect(["profile", "assign", "a", "moon"], code: 4, naming: "moon")
      try house.expect(["profile", "delete", "large"])
      try house.expect(["profile", "delete", "default"], code: 5, naming: "always there")
      try house.expect(["profile", "rename", "default", "x"], code: 5, naming: "keeps its name")
      try house.expect(["delete", "a", "--force"])
    }

    @Test func devicesGivenInPartAreAProfiles() throws {
      let house = try TestHouse(withTinyImage: ())
      try house.expect(["profile", "create", "quiet", "-d", "eth0,network=none,name=net7"])
      try house.expect(["launch", "tiny", "a", "--stopped", "-p", "quiet", "-d", "eth0,user.note=x"])
      let devices = try house.get("/1.0/instances/a")["devices"] as? [String: [String: String]]
      #expect(devices?["eth0"] == ["type": "nic", "network": "none", "name": "net7", "user.note": "x"])
      // Nothing but what an instance cannot do without.
      try house.expect(["launch", "tiny", "b", "--stopped", "--no-profiles"])
      let b = try house.get("/1.0/instances/b")
      #expect(b["profiles"] as? [String] == [])
      #expect((b["expanded_devices"] as? [String: Any])?.keys.sorted() == ["root"])
      try house.expect(["launch", "tiny", "c", "-p", "moon"], code: 4, naming: "moon")
      #expect(
        try house.run(["---completion", "launch", "--", "--profile", "0", "2", "qu"]).output == "quiet\n")
    }

    @Test func editsAndCopies() throws {
      let house = try TestHouse(withTinyImage: ())
      try house.expect(["profile", "create", "one", "limits.cpu=2"])
      let edited = """
        # two words
        description: 'it''s edited'
        config:
          limits.cpu: 3
          user.text: "a\\nb"
          user.flag: true
        devices:
          eth0:
            type: nic
            network: nat
        """
      #expect(try house.run(["profile", "edit", "one"], input: edited).code == 0)
      try house.expect(["profile", "copy", "one", "two"])
      let two = try house.get("/1.0/profiles/two")
      #expect(two["description"] as? String == "it's edited")
      #expect(strings(two, "config") == ["limits.cpu": "3", "user.text": "a\nb", "user.flag": "true"])
      #expect((two["devices"] as? [String: [String: String]]) == ["eth0": ["type": "nic", "network": "nat"]])
      // What is shown can be given back as it is.
      let shown = try house.run(["profile", "show", "two"]).output
      #expect(try house.run(["profile", "edit", "two"], input: shown).code == 0)
      #expect(try house.run(["profile", "show", "two"]).output == shown)
      let wrong = try house.run(["profile", "edit", "two"], input: "config:\n  a: [1")
      #expect(wrong.code == 2 && wrong.errors.isOneLine(naming: "line 2"))
      try house.expect(["profile", "unset", "two", "user.flag"])
      #expect(try house.run(["profile", "get", "two", "user.flag"]).output == "\n")
    }

    /// A quota counts what profiles give.
    @Test func quotasCountWhatProfilesGive() throws {
      let house = try TestHouse(withTinyImage: ())
      try house.expect(["project", "create", "lab", "-c", "limits.memory=256MiB"])
      let lab = ["--project", "lab"]
      try house.expect(["profile", "set", "default", "limits.memory=128MiB"] + lab)
      for name in ["a", "b"] { try house.expect(["launch", "tiny", name, "--stopped"] + lab) }
      try house.expect(["launch", "tiny", "c", "--stopped"] + lab, code: 2, naming: "384MiB")
      try house.expect(
        ["profile", "set", "default", "limits.memory=129MiB"] + lab, code: 2, naming: "limited to 256MiB")
      // Each project's are its own.
      #expect(try house.run(["profile", "get", "default", "limits.memory"]).output == "\n")
      try house.expect(["profile", "create", "x"] + lab)
      try house.expect(["delete", "a", "b"] + lab)
      try house.expect(["project", "delete", "lab"], code: 5, naming: "/1.0/profiles/x")
      try house.expect(["profile", "delete", "x"] + lab)
      try house.expect(["project", "delete", "lab"])
    }
  }
}
