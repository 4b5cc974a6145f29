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

  private enum CodingKeys: String, CodingKey {
    case status, disk, memory, network, pid, processes, cpu
    case statusCode = "status_code"
    case startedAt = "started_at"
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

    private enum CodingKeys: String, CodingKey {
      case usage, total
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
