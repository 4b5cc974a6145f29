internal import Foundation
internal import GRDB
package import VolaryAPI

/// What the daemon measures, as Prometheus reads it (its text format, version 0.0.4).
package struct InstanceMetrics: Sendable {
  static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

  /// One instance, with what it uses.
  package struct Sample: Sendable {
    let name: String
    let project: String
    let status: StatusCode
    let isRunning: Bool
    let state: InstanceStateObject
    let processors: Int
    let memory: Int64
    /// Whether a side of one of its mirrored disks is missing, or behind.
    let isDegraded: Bool

    package init(
      name: String, project: String, status: StatusCode, isRunning: Bool, state: InstanceStateObject,
      processors: Int, memory: Int64, isDegraded: Bool = false
    ) {
      self.name = name
      self.project = project
      self.status = status
      self.isRunning = isRunning
      self.state = state
      self.processors = processors
      self.memory = memory
      self.isDegraded = isDegraded
    }
  }

  private var lines: [String] = []

  /// The text for these instances.
  package static func text(
    _ samples: [Sample], operations: Int, version: String, host: ResourcesObject.Pool? = nil
  ) -> String {
    var metrics = InstanceMetrics()
    metrics.begin("volary_build_info", "gauge", "The daemon's version.")
    metrics.add("volary_build_info", ["version": version], 1)
    metrics.begin("volary_operations_running", "gauge", "Operations that have not ended.")
    metrics.add("volary_operations_running", [:], Double(operations))
    metrics.begin("volary_instances", "gauge", "Instances by project and status.")
    let groups = Dictionary(grouping: samples) { [$0.project, $0.status.word] }
    for (group, members) in groups.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      metrics.add("volary_instances", ["project": group[0], "status": group[1]], Double(members.count))
    }
    if let host { metrics.addHost(host) }
    metrics.addInstances(samples)
    return metrics.lines.joined(separator: "\n") + "\n"
  }

  /// The pool that instances share.
  private mutating func addHost(_ host: ResourcesObject.Pool) {
    for (name, unit, share, what) in [
      ("cpus", "", host.cpus, "CPUs"), ("memory", "_bytes", host.memory, "Memory"),
      ("disk", "_bytes", host.disk, "Disk space"),
    ] {
      for (word, help, value) in [
        ("", "that the host has", share.total),
        ("_promisable", "that may be promised to instances", share.limit),
        ("_promised", "promised to instances", share.promised),
        ("_used", unit.isEmpty ? "in use: the load of the last minute" : "in use, by whomever", share.used),
      ] {
        let metric = "volary_host_\(name)\(word)\(unit)"
        begin(metric, "gauge", "\(what) \(help).")
        add(metric, [:], Double(value))
      }
    }
  }

  private mutating func addInstances(_ samples: [Sample]) {
    let running = samples.filter(\.isRunning)
    each(
      samples, "volary_instance_disk_degraded", "gauge",
      "1 while a mirrored disk of the instance's lacks a side, or a side something."
    ) { $0.isDegraded ? 1 : 0 }
    each(samples, "volary_instance_up", "gauge", "1 while the instance's machine runs.") {
      $0.isRunning ? 1 : 0
    }
    each(samples, "volary_instance_cpus", "gauge", "Virtual CPUs.") { Double($0.processors) }
    each(samples, "volary_instance_memory_limit_bytes", "gauge", "The guest's memory.") { Double($0.memory) }
    each(running, "volary_instance_cpu_seconds_total", "counter", "Processor time of the machine's process.")
    {
      Double($0.state.cpu.usage) / 1e9
    }
    each(running, "volary_instance_memory_bytes", "gauge", "The guest's memory that is in use on the host.") {
      Double($0.state.memory.usage)
    }
    each(running, "volary_instance_start_time_seconds", "gauge", "When it was started, in Unix time.") {
      Double($0.state.startedAt.microseconds) / 1e6
    }
    by(
      samples, "device", \.disk, "volary_instance_disk_bytes", "gauge", "Bytes that a disk takes on the host."
    ) {
      $0.usage
    }
    by(samples, "device", \.disk, "volary_instance_disk_size_bytes", "gauge", "Bytes that the guest sees.") {
      $0.total
    }
    addGroups(running)
    addGuests(running)
    typealias Counters = InstanceStateObject.Counters
    let counters: [(String, String, (Counters) -> Int64)] = [
      ("receive_bytes", "Bytes to the guest.", { $0.bytesReceived }),
      ("transmit_bytes", "Bytes from the guest.", { $0.bytesSent }),
      ("receive_packets", "Frames to the guest.", { $0.packetsReceived }),
      ("transmit_packets", "Frames from the guest.", { $0.packetsSent }),
    ]
    for (name, help, value) in counters {
      by(running, "device", \.network, "volary_instance_network_\(name)_total", "counter", help) {
        value($0.counters)
      }
    }
  }

  /// What the host's kernel counts of machines' processes, where it does.
  private mutating func addGroups(_ samples: [Sample]) {
    typealias Group = ControlGroupObject
    let kinds: [(String, String, String, (Group) -> Int64?, Double)] = [
      ("memory_bytes", "gauge", "Memory of its processes, with the host's cache.", \.memory, 1),
      ("memory_limit_bytes", "gauge", "Memory that its processes may have.", \.memoryMaximum, 1),
      ("cpu_throttled_seconds_total", "counter", "Time in which its cap held it back.", \.cpuThrottled, 1e9),
      ("read_bytes_total", "counter", "Bytes that its processes read from the host's disks.", \.bytesRead, 1),
      ("written_bytes_total", "counter", "Bytes that they wrote.", \.bytesWritten, 1),
    ]
    for (name, type, help, value, unit) in kinds {
      let counted = samples.compactMap { sample in sample.state.cgroup.flatMap(value).map { (sample, $0) } }
      if counted.isEmpty { continue }
      begin("volary_instance_cgroup_\(name)", type, help)
      for (sample, value) in counted {
        add(
          "volary_instance_cgroup_\(name)", ["name": sample.name, "project": sample.project],
          Double(value) / unit)
      }
    }
  }

  /// What guests tell of their memory, where they do.
  private mutating func addGuests(_ samples: [Sample]) {
    typealias Guest = InstanceStateObject.Guest
    let kinds: [(String, String, String, (Guest) -> Int64?)] = [
      ("guest_memory_free_bytes", "gauge", "Memory that the guest uses for nothing.", \.free),
      ("guest_memory_available_bytes", "gauge", "Memory that the guest's programs could get.", \.available),
      ("balloon_bytes", "gauge", "Memory that the guest has given back when it was asked to.", \.given),
      ("memory_reported_bytes_total", "counter", "Free memory that came back without asking.", \.reported),
    ]
    for (name, type, help, value) in kinds {
      let told = samples.compactMap { sample in sample.state.memory.guest.flatMap(value).map { (sample, $0) }
      }
      if told.isEmpty { continue }
      begin("volary_instance_\(name)", type, help)
      for (sample, value) in told {
        add("volary_instance_\(name)", ["name": sample.name, "project": sample.project], Double(value))
      }
    }
  }

  private mutating func each(
    _ samples: [Sample], _ name: String, _ type: String, _ help: String, _ value: (Sample) -> Double
  ) {
    begin(name, type, help)
    for sample in samples { add(name, ["name": sample.name, "project": sample.project], value(sample)) }
  }

  private mutating func by<Part>(
    _ samples: [Sample], _ label: String, _ parts: KeyPath<InstanceStateObject, [String: Part]>,
    _ name: String,
    _ type: String, _ help: String, _ value: (Part) -> Int64
  ) {
    begin(name, type, help)
    for sample in samples {
      for (key, part) in sample.state[keyPath: parts].sorted(by: { $0.key < $1.key }) {
        add(name, ["name": sample.name, "project": sample.project, label: key], Double(value(part)))
      }
    }
  }

  private mutating func begin(_ name: String, _ type: String, _ help: String) {
    lines.append("# HELP \(name) \(help)")
    lines.append("# TYPE \(name) \(type)")
  }

  private mutating func add(_ name: String, _ labels: [String: String], _ value: Double) {
    let pairs = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }
    let text = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    lines.append(name + (pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}") + " " + text)
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }
}

extension InstanceMetrics {
  /// As Incus has them, for its client's `top` and what others have made for its metrics. Of memory and disks that the
  /// guest has, what the host has in use for them is in use.
  package static func incusText(_ samples: [Sample]) -> String {
    var metrics = InstanceMetrics()
    let running = samples.filter(\.isRunning)
    func add(
      _ name: String, _ type: String, _ help: String, _ labels: [String: String] = [:],
      _ value: (Sample) -> Double?
    ) {
      metrics.begin(name, type, help)
      for sample in running {
        guard let value = value(sample) else { continue }
        let own = ["name": sample.name, "project": sample.project, "type": "virtual-machine"]
        metrics.add(name, labels.merging(own) { $1 }, value)
      }
    }
    add(
      "incus_cpu_seconds_total", "counter", "Processor time of the machine's process.",
      ["cpu": "0", "mode": "user"]
    ) { Double($0.state.cpu.usage) / 1e9 }
    add("incus_cpu_effective_total", "gauge", "Virtual CPUs.") { Double($0.processors) }
    add("incus_memory_MemTotal_bytes", "gauge", "The guest's memory.") { Double($0.memory) }
    add("incus_memory_MemAvailable_bytes", "gauge", "What of it the host has not in use.") {
      Double(max(0, $0.memory - $0.state.memory.usage))
    }
    let root = ["device": "root", "mountpoint": "/"]
    add("incus_filesystem_size_bytes", "gauge", "The root disk as the guest sees it.", root) {
      $0.state.disk["root"].map { Double($0.total) }
    }
    add("incus_filesystem_free_bytes", "gauge", "What of it takes no room on the host.", root) {
      $0.state.disk["root"].map { Double(max(0, $0.total - $0.usage)) }
    }
    return metrics.lines.joined(separator: "\n") + "\n"
  }
}

extension Instances {
  /// How many machines are asked at a time for what they use.
  private static let askedAtOnce = 16

  /// Every instance that `identity` may see, or of these those of a project, with what it uses.
  func samples(for identity: Identity, project: String? = nil) async throws -> [InstanceMetrics.Sample] {
    let records = try await services.store.read { database in
      try InstanceRecord.order(InstanceRecord.CodingKeys.project, InstanceRecord.CodingKeys.name)
        .fetchAll(database).filter {
          identity.reaches(project: $0.project) && $0.project == project ?? $0.project
        }
    }
    let states = await measure(records)
    return zip(records, states).compactMap { record, state in
      guard let state, let settings = try? settings(of: record) else { return nil }
      return InstanceMetrics.Sample(
        name: record.name, project: record.project, status: state.statusCode,
        isRunning: machines[record.id] != nil, state: state, processors: settings.cpus,
        memory: Int64(clamping: settings.memory), isDegraded: mirrorTroubles[record.id] != nil)
    }
  }

  /// The pool, for those who may see the host as a whole.
  func hostShares(for identity: Identity) async throws -> ResourcesObject.Pool? {
    guard identity.reaches(project: nil) else { return nil }
    return try shares(capacity, try await ratios())
  }

  /// What each of these uses, in their order.
  func measure(_ records: [InstanceRecord]) async -> [InstanceStateObject?] {
    await withTaskGroup(of: (Int, InstanceStateObject?).self) { group in
      var states: [InstanceStateObject?] = Array(repeating: nil, count: records.count)
      for (index, record) in records.enumerated() {
        if index >= Self.askedAtOnce, let (done, state) = await group.next() { states[done] = state }
        group.addTask { (index, try? await self.state(of: record)) }
      }
      for await (done, state) in group { states[done] = state }
      return states
    }
  }
}
