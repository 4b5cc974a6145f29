internal import VolaryAPI
internal import VolaryHost

/// What a host has, for people.
enum HostText {
  static func text(of host: ResourcesObject) throws -> String {
    let model = host.cpu.sockets.first.map { $0.name.isEmpty ? "" : ", \($0.name)" } ?? ""
    let processes = host.load.processes
    let loads = [host.load.average1min, host.load.average5min, host.load.average10min].map { "\($0)" }
    var lines = [
      "Processors: \(host.cpu.total)\(model)",
      "Load: \(loads.joined(separator: " ")), \(processes) processes",
    ]
    for disk in host.storage.disks {
      lines.append(
        "Disk \(disk.id): \(ByteCount.text(disk.size))\(disk.model.isEmpty ? "" : ", \(disk.model)")")
    }
    return try lines.joined(separator: "\n") + "\n\n" + table(host.pool)
  }

  /// A line of what instances share.
  private struct Row: Encodable {
    let name: String
    let share: ResourcesObject.Share
    let isBytes: Bool

    func text(_ amount: Int64) -> String { isBytes ? ByteCount.text(amount) : "\(amount)" }
  }

  private static func table(_ pool: ResourcesObject.Pool) throws -> String {
    try TextTable(
      titles: ["", "HOST", "USED", "OVERCOMMIT", "PROMISABLE", "PROMISED"],
      objects: [
        Row(name: "cpus", share: pool.cpus, isBytes: false),
        Row(name: "memory", share: pool.memory, isBytes: true),
        Row(name: "disk", share: pool.disk, isBytes: true),
      ], encoder: APICoding.prettyEncoder
    ) { row in
      let share = row.share
      return [
        row.name, row.text(share.total), row.text(share.used), "\(share.overcommit)", row.text(share.limit),
        row.text(share.promised),
      ]
    }.text(.compact)
  }
}
