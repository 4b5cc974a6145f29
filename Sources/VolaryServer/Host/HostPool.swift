internal import Foundation
package import VolaryAPI
internal import VolaryHost

/// What of the host is promised to instances, and what still may be.
///
/// A value within the actor of the instances: what is asked and what is set aside is one step, so two that start at
/// the same moment cannot both have what is there once.
package struct HostPool: Sendable {
  /// What a machine that runs, or is about to, was promised.
  package struct Promise: Equatable, Sendable {
    package var cpus: Int
    /// Bytes.
    package var memory: Int64

    package init(cpus: Int, memory: Int64) {
      self.cpus = cpus
      self.memory = memory
    }
  }

  private var promises: [String: Promise] = [:]
  /// Disks that are not in the store yet, or not of that size, in bytes.
  package private(set) var disks: [String: Int64] = [:]
  /// The sum of what machines were promised.
  package private(set) var promised = Promise(cpus: 0, memory: 0)

  package init() {}

  package subscript(_ id: String) -> Promise? { promises[id] }

  // MARK: - CPUs and memory

  /// Sets something aside for an instance, in place of what it had. Throws `conflict` when it is more than it had, and
  /// more than may be promised; nothing has changed then.
  package mutating func promise(
    _ wanted: Promise, to id: String, name: String, _ capacity: HostCapacity, _ ratios: OvercommitRatios
  ) throws(APIError) {
    let old = promises[id] ?? Promise(cpus: 0, memory: 0)
    if wanted.cpus > old.cpus {
      try Self.check(
        name, wanted: Int64(wanted.cpus), others: Int64(promised.cpus - old.cpus),
        Need(
          what: "", has: Int64(capacity.cpus), ratio: ratios.cpus, setting: OvercommitRatios.cpusKey,
          key: "limits.cpu", relief: "stop an instance", amount: { $0 == 1 ? "1 CPU" : "\($0) CPUs" }))
    }
    if wanted.memory > old.memory {
      try Self.check(
        name, wanted: wanted.memory, others: promised.memory - old.memory,
        Need(
          what: " of memory", has: capacity.memory, ratio: ratios.memory, setting: OvercommitRatios.memoryKey,
          key: "limits.memory", relief: "stop an instance", amount: ByteCount.text))
    }
    adopt(wanted, of: id)
  }

  /// Counts what an instance has already, whether or not it may.
  package mutating func adopt(_ promise: Promise, of id: String) {
    release(id)
    promises[id] = promise
    promised.cpus += promise.cpus
    promised.memory += promise.memory
  }

  package mutating func release(_ id: String) {
    guard let old = promises.removeValue(forKey: id) else { return }
    promised.cpus -= old.cpus
    promised.memory -= old.memory
  }

  // MARK: - Disks

  /// Sets disk space aside for an instance until ``settleDisk(_:)``, when the store has its disk or it has none.
  /// `others` are the disks of all other instances in the store, by id and in bytes; `old` is what it has, and `least`
  /// what it cannot be smaller than.
  package mutating func promiseDisk(
    _ bytes: Int64, old: Int64 = 0, least: Int64 = 0, to id: String, name: String, others: [String: Int64],
    _ capacity: HostCapacity, _ ratios: OvercommitRatios
  ) throws(APIError) {
    if bytes > old {
      try Self.check(
        name, wanted: bytes, others: promisedDisk(others, without: id),
        Need(
          what: " of disk space", has: capacity.disk, ratio: ratios.disk, setting: OvercommitRatios.diskKey,
          key: "the size of its disk", relief: "delete an instance", amount: ByteCount.text,
          least: max(old, least)))
    }
    disks[id] = bytes
  }

  package mutating func settleDisk(_ id: String) { disks[id] = nil }

  /// Bytes of the disks in the store and of those on their way there.
  package func promisedDisk(_ stored: [String: Int64], without id: String? = nil) -> Int64 {
    stored.merging(disks) { max($0, $1) }.reduce(0) { $1.key == id ? $0 : $0 + $1.value }
  }

  // MARK: - The refusal

  /// What there is of one kind, in words.
  private struct Need {
    /// What follows an amount.
    let what: String
    let has: Int64
    let ratio: Double
    let setting: String
    /// What of the instance could be less.
    let key: String
    let relief: String
    let amount: (Int64) -> String
    /// What the instance cannot do with less than.
    var least: Int64 = 1
  }

  private static func check(
    _ name: String, wanted: Int64, others: Int64, _ need: Need
  ) throws(APIError) {
    let limit = ResourcesObject.Share(
      total: need.has, overcommit: need.ratio, promised: 0, used: 0
    ).limit
    let left = limit - others
    // A host that does not say what it has is not held to it.
    guard need.has > 0, wanted > left else { return }
    let ratio = String(format: "%g", need.ratio)
    let smaller = left >= max(1, need.least) ? ", set \(need.key) to \(need.amount(left)) or less" : ""
    throw APIError.conflict(
      "`\(name)` wants \(need.amount(wanted))\(need.what); \(need.amount(others)) are promised to other instances, "
        + "and no more than \(need.amount(limit)) may be (\(ratio) times the host's \(need.amount(need.has)))",
      wayOut: "\(need.relief)\(smaller), or raise \(need.setting)")
  }
}
