internal import Glibc
internal import HostSystem
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Holds the limits of one machine's processes, by what this host has for that.
struct InstanceLimits: Sendable {
  /// Nil where the host gives the daemon none.
  let group: ControlGroup?
  /// Why there is no group.
  let absence: String

  /// Puts limits into effect, in place of those of `before`. What somebody asked for and the host cannot hold comes back
  /// by its key, with the reason; it is no reason not to run. Blocks for a moment.
  func hold(_ limits: MachineLimits, before: MachineLimits? = nil, process: Int32, files: String)
    -> [String: String]
  {
    let device = HostLimits.device(of: files)
    var failures =
      group?.apply(limits, device: device)
      ?? ControlGroup.settings(limits, device: device ?? "0:0").reduce(into: [:]) { failures, setting in
        if let key = setting.key { failures[key] = absence }
      }
    // Without the kernel's accounts of groups, niceness is what is left of a priority.
    if group?.controllers.contains(.cpu) != true, limits.cpuPriority != nil || before?.cpuPriority != nil {
      failures["limits.cpu.priority"] = nil
      do throws(Errno) { try HostLimits.setNiceness(limits.niceness, of: process) } catch {
        failures["limits.cpu.priority"] = "only root may make a process less nice again (\(error))"
      }
    }
    return failures
  }

  static func condition(_ failures: [String: String]) -> Condition? {
    if failures.isEmpty { return nil }
    let reasons = Dictionary(grouping: failures.keys.sorted()) { failures[$0] ?? "" }
    let words = reasons.sorted { $0.value[0] < $1.value[0] }.map { reason, keys in
      "\(keys.joined(separator: ", ")) \(keys.count == 1 ? "is" : "are") not held: \(reason)"
    }
    return Condition(
      type: "LimitsHeld", status: false, reason: "HostCannot", message: words.joined(separator: "; "))
  }
}

extension Instances {
  /// Finds where groups of machines may be, and removes those that are left of machines that are gone.
  func prepareGroups() async {
    do {
      groups = try await offThread("groups") { try ControlGroupTree.prepare() }
    } catch {
      groupsAbsence = (error as? ControlGroupTree.Absence)?.reason ?? "\(error)"
    }
  }

  /// Groups whose machines ended while no daemon was there.
  func removeStrayGroups() {
    guard let groups else { return }
    // Those of another daemon's machines hold processes, and cannot be removed.
    for id in groups.groups where machines[id] == nil { groups.group(id).remove() }
  }

  /// The limits of a machine that has started, put into effect.
  func holdLimits(_ record: InstanceRecord) async {
    guard let machine = machines[record.id], let process = machine.identity?.identifier,
      var limits = try? settings(of: record).limits
    else { return }
    // What it was started with: a balloon gives back no memory that could be forbidden.
    limits.memory = machine.memory
    let (wanted, before) = (limits, machine.limits)
    let keeper = InstanceLimits(
      group: machine.group,
      absence: groups == nil ? groupsAbsence : "the machine's processes are in no cgroup of its own")
    let files = folder(of: record).path
    var failures =
      (try? await offThread("limits") {
        keeper.hold(wanted, before: before, process: process, files: files)
      }) ?? [:]
    // What the kernel does not hold the machine does by itself, and it alone: else both would count.
    let isLeftToMachine = failures[ControlGroup.throttleKey] != nil
    if isLeftToMachine || before?.disk.isNone == false {
      do {
        try await machine.link.call(
          .limitDisk(InstancePlan.diskSerial, isLeftToMachine ? wanted.disk.rates : DiskRates()))
        failures[ControlGroup.throttleKey] = nil
      } catch {
        // A machine of an earlier version, or one that has ended.
      }
    }
    let trouble = InstanceLimits.condition(failures)
    machines[record.id]?.limits = wanted
    machines[record.id]?.limitsTrouble = trouble
  }

  /// The group that the machine of an instance is in, if it is.
  nonisolated func group(_ id: String, of process: Int32, in groups: ControlGroupTree?) -> ControlGroup? {
    guard let groups, HostLimits.group(of: process)?.hasSuffix("/volary/\(id)") == true else { return nil }
    return groups.group(id)
  }

  /// What the group of a machine that has ended knows of that; the group is gone then.
  nonisolated func dissolve(_ group: ControlGroup?) async -> InstanceExit? {
    guard let group, group.exists else { return nil }
    let usage = group.usage
    try? await offThread("group") {
      // Its network's process may be on its way out.
      for _ in 0..<100 where !group.remove() { usleep(20_000) }
    }
    guard let kills = usage.memoryKills, kills > 0 else { return nil }
    let limit = usage.memoryMaximum.map { " of \(ByteCount.text(Int64(clamping: $0)))" } ?? ""
    return InstanceExit(
      reason: "out-of-memory",
      message: "the host's kernel ended it, because its processes needed more than their limit\(limit)",
      at: .now)
  }
}

extension ControlGroupObject {
  init(_ usage: ControlGroup.Usage) {
    func number(_ value: UInt64?) -> Int64? { value.map { Int64(clamping: $0) } }
    func time(_ microseconds: UInt64?) -> Int64? { number(microseconds.map { $0 &* 1000 }) }
    self.init(
      memory: number(usage.memory), memoryMaximum: number(usage.memoryMaximum),
      cpuUsage: time(usage.processorTime), cpuThrottled: time(usage.throttledTime),
      bytesRead: number(usage.readBytes), bytesWritten: number(usage.writtenBytes))
  }
}
