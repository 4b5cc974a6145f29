import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing
import VolaryHost

/// Limits of a machine's processes: as they are written, and as the kernel reads them (cgroup-v2.rst).
struct LimitsTests {
  @Test(
    arguments: [
      ("50%", 50, nil), ("100%", 100, nil), ("20ms/100ms", nil, "20000 100000"),
      ("300ms/100ms", nil, "300000 100000"),
      ("1ms/1000ms", nil, "1000 1000000"),
    ] as [(String, Int?, String?)])
  func allowances(_ text: String, _ share: Int?, _ cap: String?) throws {
    var limits = MachineLimits()
    let isRead = limits.setAllowance(text)
    #expect(isRead)
    #expect(limits.cpuShare == share)
    #expect(limits.cpuCap.map { "\($0.quota) \($0.period)" } == cap)
  }

  @Test(
    arguments: [
      "", "%", "0%", "101%", "-5%", "1.5%", "50", "20ms", "20/100", "0ms/100ms", "20ms/0ms", "20ms/2000ms",
      "ms/ms", "20ms/100ms/1ms", "9999999999999999999ms/100ms",
    ])
  func noAllowances(_ text: String) {
    var limits = MachineLimits()
    let isRead = limits.setAllowance(text)
    #expect(!isRead)
    #expect(limits == MachineLimits())
  }

  /// As Incus reckons them.
  @Test(
    arguments: [
      (nil, nil, nil), (50, nil, 50), (nil, 10, 100), (nil, 0, 90), (50, 3, 43), (5, 0, 1),
    ] as [(Int?, Int?, Int?)])
  func weights(_ share: Int?, _ priority: Int?, _ weight: Int?) {
    var limits = MachineLimits()
    limits.cpuShare = share
    limits.cpuPriority = priority
    #expect(limits.cpuWeight == weight)
  }

  @Test func throttles() {
    var limits = MachineLimits()
    let areRead = [
      limits.setThrottle("30MiB", reads: true, writes: true),
      limits.setThrottle("500iops", reads: false, writes: true),
      limits.setThrottle("1kB", reads: true, writes: false),
    ]
    #expect(areRead == [true, true, true])
    #expect(limits.disk.readBytes == 1000 && limits.disk.writtenBytes == 30 << 20)
    #expect(limits.disk.reads == nil && limits.disk.writes == 500)
    for text in ["", "0", "iops", "0iops", "-1iops", "fast", "5 iops"] {
      let isRead = limits.setThrottle(text, reads: true, writes: true)
      #expect(!isRead, "\(text)")
    }
  }

  /// What is written for limits, and for none.
  @Test func settings() {
    func lines(_ limits: MachineLimits, _ device: String?) -> [String] {
      ControlGroup.settings(limits, device: device).map {
        "\($0.file): \($0.value)\($0.key.map { " for \($0)" } ?? "")"
      }
    }
    var limits = MachineLimits()
    limits.memory = 1 << 30
    #expect(
      lines(limits, "8:0")
        == [
          "cpu.weight: 100", "cpu.max: max 100000", "memory.max: 1610612736", "io.weight: default 100",
          "io.bfq.weight: default 100", "io.max: 8:0 rbps=max wbps=max riops=max wiops=max",
        ])
    let isRead = limits.setAllowance("20ms/100ms")
    #expect(isRead)
    limits.cpuPriority = 8
    limits.diskPriority = 10
    limits.disk.readBytes = 1 << 20
    #expect(
      lines(limits, "8:0")
        == [
          "cpu.weight: 98 for limits.cpu.priority", "cpu.max: 20000 100000 for limits.cpu.allowance",
          "memory.max: 1610612736", "io.weight: default 200 for limits.disk.priority",
          "io.bfq.weight: default 200 for limits.disk.priority",
          "io.max: 8:0 rbps=1048576 wbps=max riops=max wiops=max for limits.read, limits.write",
        ])
  }

  /// A folder that looks like a group.
  private func group(_ files: [String], _ controllers: Set<ControlGroup.Controller>) throws -> (
    ControlGroup, () -> Void
  ) {
    let path = FileManager.default.temporaryDirectory.path + "/volary-group-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    for file in files { _ = FileManager.default.createFile(atPath: "\(path)/\(file)", contents: nil) }
    return (
      ControlGroup(path: path, controllers: controllers),
      { try? FileManager.default.removeItem(atPath: path) }
    )
  }

  @Test func writesWhatThereIsAndSaysWhatThereIsNot() throws {
    var limits = MachineLimits()
    let isRead = limits.setAllowance("25%")
    #expect(isRead)
    limits.memory = 64 << 20
    limits.diskPriority = 2
    let (whole, removeWhole) = try group(
      ["cpu.weight", "cpu.max", "memory.max", "io.bfq.weight", "io.max"], [.cpu, .memory, .io])
    defer { removeWhole() }
    #expect(whole.apply(limits, device: "8:16") == [:])
    func text(_ file: String) throws -> String {
      try String(contentsOfFile: "\(whole.path)/\(file)", encoding: .utf8)
    }
    #expect(try text("cpu.weight") == "25" && text("memory.max") == "\((64 + 256 + 16) << 20)")
    #expect(try text("io.bfq.weight") == "default 40")
    #expect(try text("io.max") == "8:16 rbps=max wbps=max riops=max wiops=max")

    let (memory, removeMemory) = try group(["memory.max"], [.memory])
    defer { removeMemory() }
    let isThrottled = limits.setThrottle("1MiB", reads: true, writes: true)
    #expect(isThrottled)
    #expect(
      memory.apply(limits, device: nil) == [
        "limits.cpu.allowance": "this host's cgroup v2 has no cpu controller",
        "limits.disk.priority": "this host's cgroup v2 has no io controller",
        "limits.read, limits.write": "the instance's files are on no disk that the kernel could hold to it",
      ])
    let (bare, removeBare) = try group(["cpu.weight", "cpu.max", "io.max"], [.cpu, .io])
    defer { removeBare() }
    #expect(
      bare.apply(limits, device: "8:0") == [
        "limits.disk.priority": "the host's disk has no scheduler that knows weights"
      ])
  }

  /// By the kernel's own words.
  @Test func usage() {
    let files = [
      "memory.current": "1396736\n", "memory.max": "max\n",
      "memory.events": "low 0\nhigh 0\nmax 17\noom 2\noom_kill 1\noom_group_kill 0\n",
      "cpu.stat":
        "usage_usec 5022183\nuser_usec 4000000\nsystem_usec 1022183\nnr_periods 58\nnr_throttled 57\nthrottled_usec 9912345\n",
      "io.stat":
        "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n8:0 rbytes=800 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n",
    ]
    var usage = ControlGroup.Usage()
    usage.memory = 1_396_736
    usage.memoryKills = 1
    usage.processorTime = 5_022_183
    usage.throttledTime = 9_912_345
    usage.readBytes = 1_460_000
    usage.writtenBytes = 314_773_505
    #expect(ControlGroup.Usage { files[$0] } == usage)
    #expect(ControlGroup.Usage { _ in nil } == ControlGroup.Usage())
  }

  private static let hybrid = """
    25 19 0:22 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755
    33 25 0:30 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw
    34 25 0:31 / /sys/fs/cgroup/cpu rw,relatime shared:11 - cgroup cgroup rw,cpu

    """

  @Test func findsItsBranch() throws {
    func base(_ mounts: String, _ groups: String, _ user: UInt32) -> Result<ControlGroupTree.Base, any Error>
    {
      Result { try ControlGroupTree.base(.init(mounts: mounts, groups: groups, user: user)) }
    }
    #expect(
      try base(Self.hybrid, "4:memory:/x\n0::/\n", 0).get()
        == .init(path: "/sys/fs/cgroup/unified", holdsDaemon: false))
    #expect(throws: ControlGroupTree.Absence.self) { try base("", "0::/\n", 0).get() }
    #expect(throws: ControlGroupTree.Absence.self) { try base(Self.hybrid, "0::/user.slice/x\n", 1000).get() }

    // What a service manager gave its user, before and after the daemon has moved itself aside.
    let (service, remove) = try group([], [])
    defer { remove() }
    try FileManager.default.createDirectory(
      atPath: service.path + "/s/daemon", withIntermediateDirectories: true)
    if getuid() == 0 {
      for folder in ["/s", "/s/daemon"] { #expect(chown(service.path + folder, 1000, 1000) == 0) }
    }
    let (mounts, user) = ("1 0 0:1 / \(service.path) rw - cgroup2 c rw\n", getuid() == 0 ? 1000 : getuid())
    #expect(try base(mounts, "0::/s\n", user).get() == .init(path: service.path + "/s", holdsDaemon: true))
    #expect(
      try base(mounts, "0::/s/daemon\n", user).get() == .init(path: service.path + "/s", holdsDaemon: false))
  }

  @Test func niceness() throws {
    let program = try ProgramRun("/bin/sleep", ["100"])
    let process = program.process
    defer { process.terminate() }
    let before = getpriority(Int32(PRIO_PROCESS.rawValue), UInt32(process.identifier))
    let wanted = min(before + 7, 19)
    try HostLimits.setNiceness(wanted, of: process.identifier)
    #expect(getpriority(Int32(PRIO_PROCESS.rawValue), UInt32(process.identifier)) == wanted)
  }
}
