internal import Foundation
internal import Glibc
internal import VolaryHost

/// What the host has for machines, and what of it is in use, by whomever.
package struct HostCapacity: Equatable, Sendable {
  /// Threads that it can run at a time.
  package var cpus: Int
  /// Bytes, without swap space.
  package var memory: Int64
  package var memoryUsed: Int64
  /// Bytes of the file system with the instances' disks.
  package var disk: Int64
  package var diskUsed: Int64
  /// Averages over one, five and fifteen minutes.
  package var load: [Double]
  package var processes: Int

  package init(
    cpus: Int, memory: Int64, memoryUsed: Int64 = 0, disk: Int64, diskUsed: Int64 = 0,
    load: [Double] = [0, 0, 0], processes: Int = 0
  ) {
    self.cpus = cpus
    self.memory = memory
    self.memoryUsed = memoryUsed
    self.disk = disk
    self.diskUsed = diskUsed
    self.load = load
    self.processes = processes
  }

  /// Asks the host's kernel. What it does not say is 0.
  package static func measure(dataDirectory: String) -> HostCapacity {
    let memory = HostMemory.fields(meminfo: text("/proc/meminfo"))
    let total = memory["MemTotal"] ?? 0
    var room = statvfs()
    let hasRoom = statvfs(dataDirectory, &room) == 0
    let block = Int64(clamping: room.f_frsize)
    let words = text("/proc/loadavg").split(separator: " ")
    return HostCapacity(
      cpus: sysconf(Int32(_SC_NPROCESSORS_ONLN)), memory: total,
      memoryUsed: max(0, total - (memory["MemAvailable"] ?? 0)),
      disk: hasRoom ? Int64(clamping: room.f_blocks) * block : 0,
      // What only root may have counts as used, as df(1) has it.
      diskUsed: hasRoom ? Int64(clamping: room.f_blocks - room.f_bavail) * block : 0,
      load: (0..<3).map { $0 < words.count ? Double(words[$0]) ?? 0 : 0 },
      processes: words.count > 3 ? Int(words[3].split(separator: "/").last ?? "") ?? 0 : 0)
  }

  private static func text(_ path: String) -> String {
    (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  }
}
