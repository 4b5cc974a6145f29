import Foundation
import Testing
import VolaryAPI
import VolaryServer

/// What Prometheus reads.
struct MetricsTests {
  private func sample(_ name: String, running: Bool) -> InstanceMetrics.Sample {
    var state = InstanceStateObject(status: running ? .running : .stopped)
    state.cpu = .init(usage: 1_500_000_000)
    state.memory = .init(usage: 4096, total: 8192)
    state.disk["root"] = .init(usage: 5, total: 10)
    state.network["eth0"] = .init(counters: .init(bytesReceived: 1, bytesSent: 2), hwaddr: "")
    return .init(
      name: name, project: "default", status: state.statusCode, isRunning: running, state: state,
      processors: 2,
      memory: 8192)
  }

  /// Each line is one of the three kinds of the text format; each metric is told once, before its values.
  @Test func isTheTextFormat() throws {
    let text = InstanceMetrics.text(
      [sample("web", running: true), sample("a\"b\\", running: false)], operations: 3, version: "0.1",
      host: .init(
        cpus: .init(total: 2, overcommit: 16, promised: 3, used: 1),
        memory: .init(total: 8192, overcommit: 1.5, promised: 4096, used: 1024),
        disk: .init(total: 100, overcommit: 10, promised: 50, used: 7)))
    let name = /[a-zA-Z_:][a-zA-Z0-9_:]*/
    let value = #"[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*""#
    let line = try Regex(#"[a-zA-Z_:][a-zA-Z0-9_:]*(\{\#(value)(,\#(value))*\})? -?[0-9.e+]+"#)
    var told: Set<Substring> = []
    var current: Substring = ""
    for row in text.split(separator: "\n") {
      if row.hasPrefix("# TYPE ") {
        current = row.split(separator: " ")[2]
        #expect(told.insert(current).inserted)
      } else if !row.hasPrefix("# HELP ") {
        #expect(row.wholeMatch(of: line) != nil, "\(row)")
        #expect(row.prefixMatch(of: name)?.output == current)
      }
    }
    #expect(text.hasSuffix("\n"))
    #expect(text.contains(#"volary_instance_cpu_seconds_total{name="web",project="default"} 1.5"#))
    #expect(text.contains(#"volary_instance_up{name="a\"b\\",project="default"} 0"#))
    #expect(
      text.contains(
        #"volary_instance_network_transmit_bytes_total{device="eth0",name="web",project="default"} 2"#))
    #expect(!text.contains(#"volary_instance_memory_bytes{name="a"#))
    #expect(text.contains("\nvolary_host_memory_promisable_bytes 12288\n"))
    #expect(
      text.contains("\nvolary_host_cpus_promised 3\n") && text.contains("\nvolary_host_disk_used_bytes 7\n"))
  }
}
