/// What a running instance uses, as the API shows it (Incus's api.InstanceState).
package struct InstanceStateObject: Codable, Equatable, Sendable {
  package var status: String
  package var statusCode: StatusCode
  /// By the name of the device.
  package var disk: [String: Disk]
  package var memory: Memory
  /// By the guest's name of the interface.
  package var network: [String: Network]
  /// Of the machine's process on the host; 0 when there is none.
  package var pid: Int64
  /// In the guest; -1 when nobody knows.
  package var processes: Int64
  package var cpu: CPU
  package var startedAt: Timestamp
  /// What the guest runs, where its agent says so.
  package var system: System?
  /// Ours beyond Incus's: what the host's kernel counts of the machine's processes, where it does.
  package var cgroup: ControlGroupObject?

  private enum CodingKeys: String, CodingKey {
    case status, disk, memory, network, pid, processes, cpu, cgroup
    case statusCode = "status_code"
    case startedAt = "started_at"
    case system = "os_info"
  }

  package init(
    status: StatusCode, disk: [String: Disk] = [:], memory: Memory = Memory(),
    network: [String: Network] = [:], pid: Int64 = 0, processes: Int64 = -1, cpu: CPU = CPU(),
    startedAt: Timestamp = .never
  ) {
    self.status = status.word
    statusCode = status
    self.disk = disk
    self.memory = memory
    self.network = network
    self.pid = pid
    self.processes = processes
    self.cpu = cpu
    self.startedAt = startedAt
  }

  /// Bytes.
  package struct Disk: Codable, Equatable, Sendable {
    package var usage: Int64
    package var total: Int64
    /// Ours beyond Incus's: what the guest has read and written since it was started.
    package var bytesRead: Int64
    package var bytesWritten: Int64

    private enum CodingKeys: String, CodingKey {
      case usage, total
      case bytesRead = "bytes_read"
      case bytesWritten = "bytes_written"
    }

    package init(usage: Int64 = 0, total: Int64 = 0, bytesRead: Int64 = 0, bytesWritten: Int64 = 0) {
      self.usage = usage
      self.total = total
      self.bytesRead = bytesRead
      self.bytesWritten = bytesWritten
    }
  }

  /// Bytes.
  package struct Memory: Codable, Equatable, Sendable {
    package var usage: Int64
    package var usagePeak: Int64
    package var total: Int64
    package var swapUsage: Int64
    package var swapUsagePeak: Int64
    /// Ours beyond Incus's: what the guest's balloon holds, and what the guest says.
    package var guest: Guest?

    private enum CodingKeys: String, CodingKey {
      case usage, total, guest
      case usagePeak = "usage_peak"
      case swapUsage = "swap_usage"
      case swapUsagePeak = "swap_usage_peak"
    }

    package init(usage: Int64 = 0, usagePeak: Int64 = 0, total: Int64 = 0) {
      self.usage = usage
      self.usagePeak = usagePeak
      self.total = total
      swapUsage = 0
      swapUsagePeak = 0
    }
  }

  /// A guest's memory as its balloon driver tells it, in bytes; null where it does not.
  package struct Guest: Codable, Equatable, Sendable {
    /// What it was started with.
    package var start: Int64
    /// What it was asked to give back, and what it has.
    package var wanted: Int64
    package var given: Int64
    /// What came back because it was free, since the start: it may be in use again.
    package var reported: Int64
    package var total: Int64?
    package var free: Int64?
    /// What its programs could get without swapping.
    package var available: Int64?
    package var caches: Int64?

    package init(
      start: Int64, wanted: Int64 = 0, given: Int64 = 0, reported: Int64 = 0, total: Int64? = nil,
      free: Int64? = nil, available: Int64? = nil, caches: Int64? = nil
    ) {
      self.start = start
      self.wanted = wanted
      self.given = given
      self.reported = reported
      self.total = total
      self.free = free
      self.available = available
      self.caches = caches
    }
  }

  /// Nanoseconds of processor time: used, and possible in all.
  package struct CPU: Codable, Equatable, Sendable {
    package var usage: Int64
    package var allocatedTime: Int64

    private enum CodingKeys: String, CodingKey {
      case usage
      case allocatedTime = "allocated_time"
    }

    package init(usage: Int64 = 0, allocatedTime: Int64 = 0) {
      self.usage = usage
      self.allocatedTime = allocatedTime
    }
  }

  package struct System: Codable, Equatable, Sendable {
    package var name: String
    package var version: String
    package var kernelVersion: String
    package var hostname: String

    private enum CodingKeys: String, CodingKey {
      case hostname
      case name = "os"
      case version = "os_version"
      case kernelVersion = "kernel_version"
    }

    package init(name: String, version: String, kernelVersion: String, hostname: String) {
      self.name = name
      self.version = version
      self.kernelVersion = kernelVersion
      self.hostname = hostname
    }
  }

  package struct Network: Codable, Equatable, Sendable {
    package var addresses: [Address]
    package var counters: Counters
    package var hwaddr: String
    package var hostName: String
    package var mtu: Int
    /// `up` or `down`.
    package var state: String
    /// `broadcast`, `loopback`, `point-to-point`.
    package var type: String

    private enum CodingKeys: String, CodingKey {
      case addresses, counters, hwaddr, mtu, state, type
      case hostName = "host_name"
    }

    package init(
      addresses: [Address] = [], counters: Counters = Counters(), hwaddr: String, hostName: String = "",
      mtu: Int = 1500, state: String = "up", type: String = "broadcast"
    ) {
      self.addresses = addresses
      self.counters = counters
      self.hwaddr = hwaddr
      self.hostName = hostName
      self.mtu = mtu
      self.state = state
      self.type = type
    }
  }

  package struct Address: Codable, Equatable, Sendable {
    /// `inet` or `inet6`.
    package var family: String
    package var address: String
    /// The length of the prefix, in digits.
    package var netmask: String
    /// `global`, `link`, `local`.
    package var scope: String

    package init(family: String, address: String, netmask: String, scope: String) {
      self.family = family
      self.address = address
      self.netmask = netmask
      self.scope = scope
    }
  }

  package struct Counters: Codable, Equatable, Sendable {
    package var bytesReceived: Int64
    package var bytesSent: Int64
    package var packetsReceived: Int64
    package var packetsSent: Int64

    private enum CodingKeys: String, CodingKey {
      case bytesReceived = "bytes_received"
      case bytesSent = "bytes_sent"
      case packetsReceived = "packets_received"
      case packetsSent = "packets_sent"
    }

    package init(
      bytesReceived: Int64 = 0, bytesSent: Int64 = 0, packetsReceived: Int64 = 0, packetsSent: Int64 = 0
    ) {
      self.bytesReceived = bytesReceived
      self.bytesSent = bytesSent
      self.packetsReceived = packetsReceived
      self.packetsSent = packetsSent
    }
  }
}
