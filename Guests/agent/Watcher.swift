import System

/// Reports to the host at once, when it asks, and whenever the guest's addresses change.
struct Watcher {
  /// Milliseconds in which changes are gathered: an address comes with several messages.
  private static let rest = 100

  let connection: Connection
  var reader: AgentFrameReader

  mutating func run() {
    // RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR (rtnetlink(7)).
    let changes = try? RouteSocket(groups: 0x1 | 0x10 | 0x100)
    guard report(), readFrames() else { return }
    while true {
      var entries = [agent_poll(descriptor: Int32(connection.input), events: 1, revents: 0)]
      if let changes {
        entries.append(agent_poll(descriptor: Int32(changes.descriptor), events: 1, revents: 0))
      }
      guard (try? Kernel.poll(&entries)) != nil else { return }
      if entries[0].revents != 0 {
        guard let bytes = try? Kernel.read(connection.input, 4096), !bytes.isEmpty else { return }
        reader.append(bytes[...])
        guard readFrames() else { return }
      }
      if entries.count > 1, entries[1].revents != 0, let changes {
        Agent.pause(milliseconds: Self.rest)
        changes.drain()
        guard report() else { return }
      }
    }
  }

  private mutating func readFrames() -> Bool {
    while true {
      do {
        guard let frame = try reader.next() else { return true }
        guard frame.kind == .ask, report() else { return false }
      } catch { return false }
    }
  }

  private func report() -> Bool { (try? connection.send(.report, GuestReport.gathered().encoded)) != nil }
}

extension GuestReport {
  /// What the kernel says now.
  static func gathered() -> GuestReport {
    var report = GuestReport()
    var names = agent_names()
    withUnsafeMutablePointer(to: &names) {
      _ = agent_call(AGENT_SYS_uname, Int(bitPattern: $0), 0, 0, 0, 0, 0)
    }
    withUnsafeBytes(of: &names) { bytes in
      report.hostname = Array(bytes[65..<130].prefix { $0 != 0 })
      report.release = Array(bytes[130..<195].prefix { $0 != 0 })
    }
    report.system = Array(((try? Kernel.content([UInt8]("/etc/os-release"), most: 4096)) ?? []).prefix(4096))
    report.processes = processCount()
    let memory = (try? Kernel.content([UInt8]("/proc/meminfo"))) ?? []
    let wanted: [StaticString] = ["MemTotal:", "MemAvailable:", "SwapTotal:", "SwapFree:"]
    for line in memory.split(at: 10) {
      for (index, name) in wanted.enumerated() where line.starts(with: name) {
        let digits = Array(line.drop { $0 < 48 || $0 > 57 })
        report.memory[index] = UInt64(digits.decimal) << 10
      }
    }
    report.interfaces = (try? RouteSocket(groups: 0).interfaces()) ?? []
    return report
  }

  private static func processCount() -> UInt32 {
    guard let folder = try? Kernel.open([UInt8]("/proc"), Kernel.OpenFlags.directory) else { return 0 }
    defer { Kernel.close(folder) }
    var count: UInt32 = 0
    while let piece = try? Folder.read(folder), !piece.isEmpty {
      for name in Folder.names(in: piece) where name.first.map({ $0 >= 48 && $0 <= 57 }) == true {
        count += 1
      }
    }
    return count
  }
}
