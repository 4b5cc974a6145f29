import Foundation
import HostPrograms
import HostSystem
import Testing

/// The host's network devices, beside what iproute2 says of them.
@Suite struct HostLinkTests {
  private func ip(_ arguments: [String]) throws -> [[String: Any]] {
    let data = Data(try ProgramRun("ip", ["-j", "-d", "-s"] + arguments).finish().outputBytes)
    return try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
  }

  @Test func areWhatOthersSeeToo() throws {
    let (ours, theirs) = (try HostLink.all(), try ip(["addr"]))
    #expect(ours.map(\.name) == theirs.compactMap { $0["ifname"] as? String })
    for (link, other) in zip(ours, theirs) {
      #expect(Int(link.index) == other["ifindex"] as? Int)
      #expect(link.mtu == other["mtu"] as? Int)
      let kind = (other["linkinfo"] as? [String: Any])?["info_kind"] as? String
      #expect(link.kind == kind)
      let flags = other["flags"] as? [String] ?? []
      #expect(link.isUp == flags.contains("UP"))
      #expect(link.hasCarrier == flags.contains("LOWER_UP"))
      #expect(link.isLoopback == flags.contains("LOOPBACK"))
      let addresses = (other["addr_info"] as? [[String: Any]] ?? []).map { entry in
        "\(entry["local"] ?? "")/\(entry["prefixlen"] ?? "") \(entry["family"] ?? "")"
      }
      #expect(
        Set(link.addresses.map { "\($0.text)/\($0.prefix) \($0.isIPv6 ? "inet6" : "inet")" })
          == Set(addresses))
      // They count on meanwhile.
      let received = ((other["stats64"] as? [String: Any])?["rx"] as? [String: Any])?["bytes"] as? Int ?? 0
      #expect(link.counters.bytesReceived <= UInt64(received))
    }
    let loopback = try #require(try HostLink.named("lo"))
    #expect(
      loopback.isLoopback && loopback.kind == nil && loopback.hardwareAddress == Array(repeating: 0, count: 6)
    )
    #expect(try HostLink.named("no-such-device") == nil)
  }

  @Test(arguments: [
    ("br0", true), ("a-b.c_d", true), ("", false), ("a/b", false), ("a b", false), ("..", false),
    ("sixteen-letters0", false), ("a:b", false), ("\u{e9}", false),
  ])
  func knowsNames(_ name: String, _ isName: Bool) { #expect(HostLink.isName(name) == isName) }
}
