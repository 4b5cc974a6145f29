internal import Foundation
internal import Glibc
package import HostSystem

/// The group of one machine's processes in the host's unified hierarchy (cgroups(7), version 2), by which the kernel
/// holds its limits and counts what it uses.
package struct ControlGroup: Equatable, Sendable {
  /// What there may be of each group.
  package enum Controller: String, CaseIterable, Sendable {
    case cpu, io, memory
  }

  package let path: String
  /// Those that the kernel has for this group.
  package let controllers: Set<Controller>

  package init(path: String, controllers: Set<Controller>) {
    self.path = path
    self.controllers = controllers
  }

  package var exists: Bool { access(path, F_OK) == 0 }

  package func make() throws(Errno) {
    if mkdir(path, 0o755) != 0, errno != EEXIST { throw Errno(errno) }
  }

  /// Takes a process in, and all that it starts from then on.
  package func add(process: Int32) throws(Errno) { try Self.write("\(process)", to: "\(path)/cgroup.procs") }

  /// Removes the group once its last process is gone; false when one is not.
  @discardableResult
  package func remove() -> Bool { rmdir(path) == 0 || errno == ENOENT }

  // MARK: - Limits

  /// What the rates of disks are called where they are not held.
  package static let throttleKey = "limits.read, limits.write"

  /// A file of the group and what is written there for a limit.
  package struct Setting: Equatable, Sendable {
    package let file: String
    package let value: String
    package let controller: Controller
    /// Nil for what nobody asked for.
    package let key: String?
    /// Kernels have these only with some settings.
    package var isOptional = false
  }

  /// What is written for limits. Those that are not there are set back to what the kernel begins with, because they may
  /// have been there before.
  ///
  /// - Parameter device: `8:0`, the disk behind the machine's; nil when the host has none that can be named.
  package static func settings(_ limits: MachineLimits, device: String?) -> [Setting] {
    let key = limits.cpuShare == nil ? "limits.cpu.priority" : "limits.cpu.allowance"
    let disk = limits.diskPriority.map { _ in "limits.disk.priority" }
    let cap = limits.cpuCap.map { "\($0.quota) \($0.period)" }
    var settings = [
      Setting(
        file: "cpu.weight", value: "\(limits.cpuWeight ?? 100)", controller: .cpu,
        key: limits.cpuWeight.map { _ in key }),
      Setting(
        file: "cpu.max", value: cap ?? "max 100000", controller: .cpu,
        key: cap.map { _ in "limits.cpu.allowance" }),
      Setting(file: "memory.max", value: "\(limits.memoryMaximum)", controller: .memory, key: nil),
      // One or the other is there, by the scheduler of the disk's requests; or none.
      Setting(
        file: "io.weight", value: "default \(limits.diskWeight ?? 100)", controller: .io, key: disk,
        isOptional: true),
      Setting(
        file: "io.bfq.weight", value: "default \(limits.diskWeight ?? 100)", controller: .io, key: disk,
        isOptional: true),
    ]
    if let device {
      let parts = [
        ("rbps", limits.disk.readBytes), ("wbps", limits.disk.writtenBytes), ("riops", limits.disk.reads),
        ("wiops", limits.disk.writes),
      ].map { "\($0)=\($1.map { "\($0)" } ?? "max")" }
      settings.append(
        Setting(
          file: "io.max", value: "\(device) \(parts.joined(separator: " "))", controller: .io,
          key: limits.disk.isNone ? nil : throttleKey))
    }
    return settings
  }

  /// Writes limits. Returns what of them that somebody asked for is not held, and why, by the key.
  package func apply(_ limits: MachineLimits, device: String?) -> [String: String] {
    var failures: [String: String] = [:]
    var held: Set<String> = []
    for setting in Self.settings(limits, device: device) {
      guard controllers.contains(setting.controller) else {
        if let key = setting.key {
          failures[key] = "this host's cgroup v2 has no \(setting.controller) controller"
        }
        continue
      }
      do throws(Errno) {
        try Self.write(setting.value, to: "\(path)/\(setting.file)")
        if let key = setting.key, setting.isOptional { held.insert(key) }
      } catch {
        guard let key = setting.key else { continue }
        failures[key] =
          error == .notFound && setting.isOptional
          ? "the host's disk has no scheduler that knows weights" : "\(setting.file): \(error)"
      }
    }
    if device == nil, !limits.disk.isNone {
      failures[Self.throttleKey] =
        "the instance's files are on no disk that the kernel could hold to it"
    }
    return failures.filter { !held.contains($0.key) }
  }

  /// In one write: the kernel reads no more.
  static func write(_ text: String, to path: String) throws(Errno) {
    let file = try Descriptor.open(path, O_WRONLY)
    let bytes = Array(text.utf8)
    var failure: Errno?
    bytes.withUnsafeBytes { buffer in
      do throws(Errno) { try file.writeAll(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
