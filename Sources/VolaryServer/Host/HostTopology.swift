internal import Foundation
package import VolaryAPI

/// The host's processors and disks, as its kernel lists them (sysfs(5)).
package struct HostTopology: Sendable {
  /// Where sysfs is; another place in tests.
  private let system: String
  /// The text of /proc/cpuinfo.
  private let processors: String

  package init() {
    self.init(
      system: "/sys", processors: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")
  }

  package init(system: String, processors: String) {
    self.system = system
    self.processors = processors
  }

  // MARK: - Processors

  package func cpu(architecture: String, total: Int) -> ResourcesObject.CPU {
    var sockets: [Int: [Int: [Int]]] = [:]
    for number in numbers(in: "\(system)/devices/system/cpu", prefix: "cpu") {
      let folder = "\(system)/devices/system/cpu/cpu\(number)"
      guard let core = integer("\(folder)/topology/core_id") else { continue }
      sockets[integer("\(folder)/topology/physical_package_id") ?? 0, default: [:]][core, default: []]
        .append(number)
    }
    let (name, vendor) = (field("model name"), field("vendor_id"))
    return .init(
      architecture: architecture,
      sockets: sockets.sorted { $0.key < $1.key }.map { socket, cores in
        .init(
          socket: socket, name: name, vendor: vendor,
          cores: cores.sorted { $0.key < $1.key }.map { core, threads in
            .init(
              core: core,
              threads: threads.enumerated().map { place, number in
                .init(id: number, thread: place, online: isOnline(number))
              })
          })
      }, total: total)
  }

  /// The first processor has no such file: it is always there.
  private func isOnline(_ number: Int) -> Bool {
    integer("\(system)/devices/system/cpu/cpu\(number)/online") != 0
  }

  /// Of the first processor: all are of one make.
  private func field(_ name: String) -> String {
    let line = processors.split(separator: "\n").first { $0.hasPrefix(name) }
    return line?.split(separator: ":", maxSplits: 1).last?.trimmingCharacters(in: .whitespaces) ?? ""
  }

  // MARK: - Disks

  /// Those that are hardware, or the hypervisor's below: loops and RAM disks have no device.
  package var disks: [ResourcesObject.Disk] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(system)/block")) ?? []
    return names.sorted().compactMap { name in
      let folder = "\(system)/block/\(name)"
      guard FileManager.default.fileExists(atPath: "\(folder)/device"),
        let sectors = integer("\(folder)/size"), sectors > 0, sectors < 1 << 50
      else { return nil }
      return .init(
        id: name, device: text("\(folder)/dev"), model: text("\(folder)/device/model"),
        size: Int64(sectors) * 512, readOnly: integer("\(folder)/ro") == 1,
        removable: integer("\(folder)/removable") == 1)
    }
  }

  // MARK: - Files

  private func numbers(in folder: String, prefix: String) -> [Int] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasPrefix(prefix) }.compactMap { Int($0.dropFirst(prefix.count)) }.sorted()
  }

  private func text(_ path: String) -> String {
    ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").trimmingCharacters(
      in: .whitespacesAndNewlines)
  }

  private func integer(_ path: String) -> Int? { Int(text(path)) }
}
