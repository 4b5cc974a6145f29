/// What the host has, as `GET /1.0/resources` shows it: Incus's api.Resources as far as machines have to do with it,
/// and, ours beyond that, the pool that instances share.
package struct ResourcesObject: Codable, Equatable, Sendable {
  package var cpu: CPU
  package var memory: Memory
  package var storage: Storage
  package var load: Load
  package var pool: Pool

  package init(cpu: CPU, memory: Memory, storage: Storage, load: Load, pool: Pool) {
    self.cpu = cpu
    self.memory = memory
    self.storage = storage
    self.load = load
    self.pool = pool
  }

  package struct CPU: Codable, Equatable, Sendable {
    /// In the kernel's words: `x86_64`.
    package var architecture: String
    package var sockets: [Socket]
    /// Threads: what the host can run at a time.
    package var total: Int

    package init(architecture: String, sockets: [Socket] = [], total: Int) {
      self.architecture = architecture
      self.sockets = sockets
      self.total = total
    }
  }

  package struct Socket: Codable, Equatable, Sendable {
    package var socket: Int
    package var name: String
    package var vendor: String
    package var cores: [Core]

    package init(socket: Int, name: String, vendor: String, cores: [Core]) {
      self.socket = socket
      self.name = name
      self.vendor = vendor
      self.cores = cores
    }
  }

  package struct Core: Codable, Equatable, Sendable {
    package var core: Int
    package var threads: [Thread]

    package init(core: Int, threads: [Thread]) {
      self.core = core
      self.threads = threads
    }
  }

  package struct Thread: Codable, Equatable, Sendable {
    /// The number by which the host's kernel knows it.
    package var id: Int
    /// Its place in its core.
    package var thread: Int
    package var online: Bool

    package init(id: Int, thread: Int, online: Bool = true) {
      self.id = id
      self.thread = thread
      self.online = online
    }
  }

  /// Bytes.
  package struct Memory: Codable, Equatable, Sendable {
    package var total: Int64
    /// What programs could not have without swapping.
    package var used: Int64

    package init(total: Int64, used: Int64) {
      self.total = total
      self.used = used
    }
  }

  package struct Storage: Codable, Equatable, Sendable {
    package var disks: [Disk]
    /// How many disks there are.
    package var total: Int

    package init(disks: [Disk]) {
      self.disks = disks
      total = disks.count
    }
  }

  package struct Disk: Codable, Equatable, Sendable {
    /// The kernel's name: `nvme0n1`.
    package var id: String
    /// Its numbers: `259:0`.
    package var device: String
    package var model: String
    /// Bytes.
    package var size: Int64
    package var readOnly: Bool
    package var removable: Bool

    private enum CodingKeys: String, CodingKey {
      case id, device, model, size, removable
      case readOnly = "read_only"
    }

    package init(id: String, device: String, model: String, size: Int64, readOnly: Bool, removable: Bool) {
      self.id = id
      self.device = device
      self.model = model
      self.size = size
      self.readOnly = readOnly
      self.removable = removable
    }
  }

  /// Threads of the host that ran or wanted to, on average (proc(5), loadavg).
  package struct Load: Codable, Equatable, Sendable {
    package var average1min: Double
    package var average5min: Double
    package var average10min: Double
    package var processes: Int

    private enum CodingKeys: String, CodingKey {
      case processes
      case average1min = "Average1Min"
      case average5min = "Average5Min"
      case average10min = "Average10Min"
    }

    package init(average1min: Double, average5min: Double, average10min: Double, processes: Int) {
      self.average1min = average1min
      self.average5min = average5min
      self.average10min = average10min
      self.processes = processes
    }
  }

  /// What instances share: CPUs and memory of those that run, disk space of all.
  package struct Pool: Codable, Equatable, Sendable {
    package var cpus: Share
    /// Bytes.
    package var memory: Share
    /// Bytes of the file system where instances have their disks.
    package var disk: Share

    package init(cpus: Share, memory: Share, disk: Share) {
      self.cpus = cpus
      self.memory = memory
      self.disk = disk
    }
  }

  package struct Share: Codable, Equatable, Sendable {
    /// What the host has.
    package var total: Int64
    /// How many times that may be promised.
    package var overcommit: Double
    /// What may be promised: the product.
    package var limit: Int64
    /// What is promised to instances.
    package var promised: Int64
    /// What is in use, by whomever; of CPUs the load of the last minute.
    package var used: Int64

    package init(total: Int64, overcommit: Double, promised: Int64, used: Int64) {
      self.total = total
      self.overcommit = overcommit
      limit = Int64(exactly: (Double(total) * overcommit).rounded(.down)) ?? .max
      self.promised = promised
      self.used = used
    }
  }
}
