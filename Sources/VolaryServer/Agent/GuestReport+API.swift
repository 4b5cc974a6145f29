internal import AgentProtocol
internal import Glibc
internal import VolaryAPI

extension GuestReport {
  /// The guest's interfaces, as the API shows them. The guest may say anything; names and text are made harmless.
  var networks: [String: InstanceStateObject.Network] {
    var networks: [String: InstanceStateObject.Network] = [:]
    for interface in interfaces.prefix(64) {
      let isLoopback = interface.flags & 0x8 != 0
      var network = InstanceStateObject.Network(
        counters: .init(
          bytesReceived: Int64(clamping: interface.counters[2]),
          bytesSent: Int64(clamping: interface.counters[3]),
          packetsReceived: Int64(clamping: interface.counters[0]),
          packetsSent: Int64(clamping: interface.counters[1])),
        hwaddr: interface.hardwareAddress.prefix(8).hexadecimalWithColons, mtu: Int(interface.mtu),
        state: interface.flags & 0x1 != 0 ? "up" : "down", type: isLoopback ? "loopback" : "broadcast")
      network.addresses = interface.addresses.prefix(64).map(Self.address)
      networks[Self.text(interface.name, most: 16)] = network
    }
    return networks
  }

  /// What the guest runs.
  var systemObject: InstanceStateObject.System {
    let values = Self.settings(system)
    return .init(
      name: values["NAME"] ?? "", version: values["VERSION_ID"] ?? "",
      kernelVersion: Self.text(release, most: 64), hostname: Self.text(hostname, most: 64))
  }

  private static func address(_ address: Address) -> InstanceStateObject.Address {
    let isFour = address.bytes.count == 4
    var text = [CChar](repeating: 0, count: 64)
    let family = isFour ? AF_INET : AF_INET6
    _ = address.bytes.withUnsafeBytes { inet_ntop(family, $0.baseAddress, &text, socklen_t(text.count)) }
    let scope =
      switch address.scope {
      case 0: "global"
      case 253: "link"
      default: "local"
      }
    return .init(
      family: isFour ? "inet" : "inet6",
      address: String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self),
      netmask: "\(address.prefix)", scope: scope)
  }

  /// Printable ASCII, and not too much of it.
  private static func text(_ bytes: some Sequence<UInt8>, most: Int) -> String {
    String(decoding: bytes.prefix(most).map { (0x20...0x7e).contains($0) ? $0 : 0x3f }, as: UTF8.self)
  }

  /// The lines of os-release(5), with or without quotes.
  private static func settings(_ bytes: [UInt8]) -> [String: String] {
    var values: [String: String] = [:]
    for line in bytes.split(separator: UInt8(ascii: "\n")).prefix(64) {
      guard let end = line.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let value = text(line[(end + 1)...], most: 80)
      values[text(line[..<end], most: 40)] = value.split(separator: "\"").first.map(String.init) ?? ""
    }
    return values
  }
}
