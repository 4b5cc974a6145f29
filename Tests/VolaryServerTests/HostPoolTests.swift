import Foundation
import Testing
import VolaryAPI
import VolaryHost
import VolaryServer

/// What a host promises to instances, and what it does not.
struct HostPoolTests {
  private let gibibyte: Int64 = 1 << 30
  private var host: HostCapacity { HostCapacity(cpus: 2, memory: 8 << 30, disk: 100 << 30) }

  private func refusal(_ body: () throws -> Void) -> APIError? {
    do { try body() } catch { return error as? APIError }
    return nil
  }

  @Test func promisesUpToTheRatioAndNotMore() throws {
    var pool = HostPool()
    var ratios = OvercommitRatios()
    ratios.cpus = 2
    ratios.memory = 1.5
    for name in ["a", "b", "c"] {
      try pool.promise(.init(cpus: 1, memory: 4 * gibibyte), to: name, name: name, host, ratios)
    }
    #expect(pool.promised == .init(cpus: 3, memory: 12 * gibibyte))
    let memory = try #require(
      refusal { try pool.promise(.init(cpus: 1, memory: 1 << 20), to: "d", name: "d", host, ratios) })
    #expect(memory.code == .conflict && memory.code.exitCode == 5)
    #expect(
      memory.message
        == "`d` wants 1.0 MiB of memory; 12.0 GiB are promised to other instances, and no more than 12.0 GiB may be "
        + "(1.5 times the host's 8.0 GiB)")
    #expect(memory.wayOut == "stop an instance, or raise core.overcommit_memory")
    #expect(pool["d"] == nil && pool.promised == .init(cpus: 3, memory: 12 * gibibyte))

    pool.release("a")
    let cpus = try #require(
      refusal { try pool.promise(.init(cpus: 3, memory: gibibyte), to: "d", name: "d", host, ratios) })
    #expect(
      cpus.message
        == "`d` wants 3 CPUs; 2 CPUs are promised to other instances, and no more than 4 CPUs may be "
        + "(2 times the host's 2 CPUs)")
    #expect(
      cpus.wayOut == "stop an instance, set limits.cpu to 2 CPUs or less, or raise core.overcommit_cpus")
    try pool.promise(.init(cpus: 2, memory: 4 * gibibyte), to: "d", name: "d", host, ratios)
    pool.release("nobody")
    #expect(pool.promised == .init(cpus: 4, memory: 12 * gibibyte))
  }

  /// What runs already counts, and may become less, also where there is too much of it.
  @Test func countsWhatItFinds() throws {
    var pool = HostPool()
    var ratios = OvercommitRatios()
    ratios.memory = 1
    pool.adopt(.init(cpus: 1, memory: 10 * gibibyte), of: "old")
    pool.adopt(.init(cpus: 1, memory: 10 * gibibyte), of: "old")
    #expect(pool.promised == .init(cpus: 1, memory: 10 * gibibyte))
    #expect(
      refusal { try pool.promise(.init(cpus: 1, memory: 1), to: "new", name: "new", host, ratios) } != nil)
    try pool.promise(.init(cpus: 1, memory: 9 * gibibyte), to: "old", name: "old", host, ratios)
    #expect(
      refusal {
        try pool.promise(.init(cpus: 1, memory: 10 * gibibyte), to: "old", name: "old", host, ratios)
      }
        != nil)
    #expect(pool["old"]?.memory == 9 * gibibyte)
  }

  /// Disks on their way into the store are not promised twice, whether or not the store has them yet.
  @Test func countsDisksOnTheirWay() throws {
    var pool = HostPool()
    var ratios = OvercommitRatios()
    ratios.disk = 1
    let stored = ["a": 40 * gibibyte]
    try pool.promiseDisk(50 * gibibyte, to: "b", name: "b", others: stored, host, ratios)
    let refused = try #require(
      refusal { try pool.promiseDisk(20 * gibibyte, to: "c", name: "c", others: stored, host, ratios) })
    #expect(
      refused.wayOut
        == "delete an instance, set the size of its disk to 10.0 GiB or less, or raise core.overcommit_disk")
    // No size is named that its image does not fit in.
    let tooLarge = try #require(
      refusal {
        try pool.promiseDisk(
          20 * gibibyte, least: 12 * gibibyte, to: "c", name: "c", others: stored, host, ratios)
      })
    #expect(tooLarge.wayOut == "delete an instance, or raise core.overcommit_disk")
    #expect(pool.promisedDisk(stored) == 90 * gibibyte)
    #expect(pool.promisedDisk(stored.merging(["b": 50 * gibibyte]) { $1 }) == 90 * gibibyte)
    pool.settleDisk("b")
    #expect(pool.promisedDisk(stored) == 40 * gibibyte)
    let silent = HostCapacity(cpus: 0, memory: 0, disk: 0)
    try pool.promiseDisk(gibibyte, to: "d", name: "d", others: stored, silent, ratios)
    try pool.promise(.init(cpus: 1, memory: gibibyte), to: "d", name: "d", silent, ratios)
    // What is not to grow is nobody's concern.
    try pool.promiseDisk(
      200 * gibibyte, old: 200 * gibibyte, to: "a", name: "a", others: stored, host, ratios)
  }

  @Test(
    arguments: [
      ("4", 4.0), ("1.25", 1.25), ("", 16), ("0", nil), ("-1", nil), ("1e3", nil), ("nan", nil),
      ("many", nil),
      ("1000000", nil),
    ] as [(String, Double?)])
  func ratios(_ text: String, _ value: Double?) {
    let read = try? OvercommitRatios([OvercommitRatios.cpusKey: text])
    #expect(read?.cpus == value)
    #expect(read?.memory == value.map { _ in 1.5 })
  }

  /// By the kernel's own words (proc(5)).
  @Test func readsTheHost() throws {
    let fields = HostMemory.fields(
      meminfo: "MemTotal:       16303664 kB\nMemAvailable:    9000000 kB\nHugePages_Total:       0\n")
    #expect(fields == ["MemTotal": 16_303_664 << 10, "MemAvailable": 9_000_000 << 10])
    let here = HostCapacity.measure(dataDirectory: "/tmp")
    #expect(here.cpus > 0 && here.memory > here.memoryUsed && here.memoryUsed > 0)
    #expect(here.disk > 0 && here.diskUsed <= here.disk && here.processes > 0)
    let topology = HostTopology()
    let threads = topology.cpu(architecture: "", total: 0).sockets.flatMap(\.cores).flatMap(\.threads)
    #expect(Set(threads.map(\.id)).count == threads.count)
  }

  /// A host of two processors with two threads each, the last switched off, and two disks of which one is a loop.
  @Test func readsTopology() throws {
    let folder = TestFolder()
    func write(_ path: String, _ text: String) throws {
      let file = URL(filePath: "\(folder.path)/\(path)")
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data((text + "\n").utf8).write(to: file)
    }
    for number in 0..<4 {
      try write("devices/system/cpu/cpu\(number)/topology/core_id", "0")
      try write("devices/system/cpu/cpu\(number)/topology/physical_package_id", "\(number % 2)")
      if number > 0 { try write("devices/system/cpu/cpu\(number)/online", number == 3 ? "0" : "1") }
    }
    try write("block/vda/device/model", "")
    for (name, value) in [("size", "2048"), ("dev", "254:0"), ("ro", "1"), ("removable", "0")] {
      try write("block/vda/\(name)", value)
    }
    try write("block/loop0/size", "2048")
    let topology = HostTopology(
      system: folder.path, processors: "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD: EPYC\n")
    let cpu = topology.cpu(architecture: "x86_64", total: 3)
    #expect(cpu.sockets.map(\.socket) == [0, 1])
    #expect(cpu.sockets[0].name == "AMD: EPYC" && cpu.sockets[0].vendor == "AuthenticAMD")
    #expect(
      cpu.sockets[1].cores
        == [.init(core: 0, threads: [.init(id: 1, thread: 0), .init(id: 3, thread: 1, online: false)])])
    #expect(
      topology.disks
        == [
          .init(id: "vda", device: "254:0", model: "", size: 1 << 20, readOnly: true, removable: false)
        ])
  }
}
