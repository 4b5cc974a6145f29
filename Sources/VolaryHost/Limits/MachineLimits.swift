package import MachineControl

/// What the processes of a machine may take of the host, beside what the guest sees.
package struct MachineLimits: Equatable, Sendable {
  /// Time of processors in each period, in microseconds.
  package struct Cap: Equatable, Sendable {
    package let quota: Int
    package let period: Int
  }

  /// What a disk may move: bytes and requests a second; nil for as much as it can.
  package struct Throttle: Equatable, Sendable {
    package var readBytes: UInt64?
    package var writtenBytes: UInt64?
    package var reads: UInt64?
    package var writes: UInt64?

    package init() {}
    package var isNone: Bool { self == Throttle() }

    /// As a machine is told of them.
    package var rates: DiskRates {
      DiskRates(
        readBytes: readBytes ?? 0, writtenBytes: writtenBytes ?? 0, reads: reads ?? 0, writes: writes ?? 0)
    }
  }

  /// Of what machines share when they all want it, how much this one weighs: 1 to 100 percent.
  package var cpuShare: Int?
  /// What it may not exceed, even alone.
  package var cpuCap: Cap?
  /// 0 to 10, the usual.
  package var cpuPriority: Int?
  /// 0 to 10; 5 is the usual.
  package var diskPriority: Int?
  package var disk = Throttle()
  /// Bytes of the guest; the machine itself needs some beside them (``headroom``).
  package var memory: UInt64 = 0

  package init() {}

  // MARK: - As they are written

  /// Reads `50%`, a share, or `20ms/100ms`, a cap; false for anything else.
  package mutating func setAllowance(_ text: String) -> Bool {
    if text.hasSuffix("%") {
      guard let percent = Int(text.dropLast()), (1...100).contains(percent) else { return false }
      cpuShare = percent
      return true
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(Self.milliseconds)
    // The kernel's bounds are 1 ms and 1 s (Documentation/scheduler/sched-bwc.rst).
    guard parts.count == 2, let quota = parts[0], let period = parts[1], (1...1000).contains(period),
      (1...1_000_000).contains(quota)
    else { return false }
    cpuCap = Cap(quota: quota * 1000, period: period * 1000)
    return true
  }

  private static func milliseconds(_ text: Substring) -> Int? {
    text.hasSuffix("ms") ? Int(text.dropLast(2)) : nil
  }

  /// Reads `30MiB`, bytes a second, or `500iops`, requests a second, for reading, writing or both; false for anything
  /// else.
  package mutating func setThrottle(_ text: String, reads: Bool, writes: Bool) -> Bool {
    let requests = text.hasSuffix("iops") ? UInt64(text.dropLast(4)) : nil
    guard let amount = requests ?? (text.hasSuffix("iops") ? nil : ByteSize(text)?.bytes), amount > 0 else {
      return false
    }
    if requests != nil {
      if reads { disk.reads = amount }
      if writes { disk.writes = amount }
    } else {
      if reads { disk.readBytes = amount }
      if writes { disk.writtenBytes = amount }
    }
    return true
  }

  // MARK: - As the kernel has them

  /// `cpu.weight`: as Incus has it, a share less what the priority falls short of 10.
  package var cpuWeight: Int? {
    if cpuShare == nil, cpuPriority == nil { return nil }
    return max(1, (cpuShare ?? 100) - (10 - (cpuPriority ?? 10)))
  }

  /// `io.weight`, of which 100 is usual.
  package var diskWeight: Int? { diskPriority.map { max(1, $0 * 20) } }

  /// How much nicer than others its threads are (nice(2)), where there is no other way to have a priority.
  package var niceness: Int32 { Int32(10 - (cpuPriority ?? 10)) }

  /// Bytes beside the guest's own: generated code, queues, stacks and the network's process; the host's page tables,
  /// which the translator's windows multiply; the host's cache of the disk, which gives way.
  package static func headroom(_ memory: UInt64) -> UInt64 { (256 << 20) + memory / 4 }

  /// `memory.max`.
  package var memoryMaximum: UInt64 { memory + Self.headroom(memory) }
}
