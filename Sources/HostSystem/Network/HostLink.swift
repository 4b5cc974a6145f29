internal import Glibc

/// A network device of the host, as its kernel tells (rtnetlink(7)).
package struct HostLink: Equatable, Sendable {
  package struct Counters: Equatable, Sendable {
    package var packetsReceived: UInt64 = 0
    package var packetsSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0
  }

  package struct Address: Equatable, Sendable {
    /// In the usual notation.
    package let text: String
    package let isIPv6: Bool
    /// The length of the prefix, in bits.
    package let prefix: Int
    /// `global`, `link`, `local`.
    package let scope: String
  }

  package let index: Int32
  package let name: String
  /// The driver's word, such as `bridge`, `tun`, `veth`, `vlan`, `bond`; nil for a card.
  package let kind: String?
  package let isLoopback: Bool
  package let isPointToPoint: Bool
  package let isUp: Bool
  /// Whether it hears others.
  package let hasCarrier: Bool
  package let hardwareAddress: [UInt8]
  package let mtu: Int
  /// The index of the bridge or bond that it is part of.
  package let master: Int32?
  package let counters: Counters
  package var addresses: [Address] = []

  // Numbers of linux/if_link.h, linux/if_addr.h and linux/if.h.
  private enum Attribute {
    static let address: UInt16 = 1
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    static let master: UInt16 = 10
    static let information: UInt16 = 18
    static let statistics: UInt16 = 23
    static let kind: UInt16 = 1
    static let interfaceAddress: UInt16 = 1
    static let localAddress: UInt16 = 2
  }

  private static let loopbackType: UInt16 = 772
  private static let up: UInt32 = 0x1
  private static let pointToPoint: UInt32 = 0x10
  private static let lowerUp: UInt32 = 0x10000

  // MARK: - Reading

  /// All of them, by index, with their addresses.
  package static func all() throws(Errno) -> [HostLink] {
    let socket = try RouteSocket()
    // `struct ifinfomsg` and `struct ifaddrmsg` of nothing: all there is.
    let entries = try socket.dump(.getLink, answer: .newLink, body: [UInt8](repeating: 0, count: 16))
    var links = entries.map(HostLink.init).sorted { $0.index < $1.index }
    for entry in try socket.dump(.getAddress, answer: .newAddress, body: [UInt8](repeating: 0, count: 8)) {
      let index = Bytes.int32(entry, 4)
      guard let place = links.firstIndex(where: { $0.index == index }), let address = address(entry) else {
        continue
      }
      links[place].addresses.append(address)
    }
    return links
  }

  package static func named(_ name: String) throws(Errno) -> HostLink? {
    try all().first { $0.name == name }
  }

  /// Whether a network device can have that name.
  package static func isName(_ name: String) -> Bool {
    (1...15).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") && $0 < 0x7F }
  }

  /// `struct ifinfomsg` has 16 bytes: type at 2, index at 4, flags at 8.
  private init(_ entry: [UInt8]) {
    let attributes = RouteSocket.attributes(entry, from: 16)
    let flags = Bytes.uint32(entry, 8)
    index = Bytes.int32(entry, 4)
    name = Self.text(attributes[Attribute.name] ?? [])
    let information = RouteSocket.attributes(attributes[Attribute.information] ?? [], from: 0)
    kind = information[Attribute.kind].map(Self.text)
    isLoopback = Bytes.uint16(entry, 2) == Self.loopbackType
    isPointToPoint = flags & Self.pointToPoint != 0
    isUp = flags & Self.up != 0
    hasCarrier = flags & Self.lowerUp != 0
    hardwareAddress = attributes[Attribute.address] ?? []
    mtu = Int(Bytes.uint32(attributes[Attribute.mtu] ?? [], 0))
    master = attributes[Attribute.master].map { Bytes.int32($0, 0) }
    // `struct rtnl_link_stats64` begins with these.
    let numbers = attributes[Attribute.statistics] ?? []
    counters = Counters(
      packetsReceived: Bytes.uint64(numbers, 0), packetsSent: Bytes.uint64(numbers, 8),
      bytesReceived: Bytes.uint64(numbers, 16), bytesSent: Bytes.uint64(numbers, 24))
  }

  /// `struct ifaddrmsg` has 8 bytes: family, prefix, flags, scope, index.
  private static func address(_ entry: [UInt8]) -> Address? {
    guard entry.count >= 8 else { return nil }
    let attributes = RouteSocket.attributes(entry, from: 8)
    let isIPv6 = Int32(entry[0]) == AF_INET6
    guard isIPv6 || Int32(entry[0]) == AF_INET,
      let bytes = attributes[Attribute.localAddress] ?? attributes[Attribute.interfaceAddress],
      bytes.count == (isIPv6 ? 16 : 4)
    else { return nil }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    inet_ntop(Int32(entry[0]), bytes, &text, socklen_t(text.count))
    let scope = entry[3] == 253 ? "link" : entry[3] == 254 ? "local" : "global"
    return Address(
      text: String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self),
      isIPv6: isIPv6, prefix: Int(entry[1]), scope: scope)
  }

  private static func text(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  // MARK: - Changing

  /// Makes a device part of this bridge and brings it up, with as large packets as the bridge has.
  package func take(_ name: String) throws(Errno) {
    let member = Int32(bitPattern: if_nametoindex(name))
    if member == 0 { throw .notFound }
    let head =
      Bytes.of(UInt32(0)) + Bytes.of(member) + Bytes.of(Self.up) + Bytes.of(Self.up)
    try RouteSocket().change(
      .setLink,
      body: head + RouteSocket.attribute(Attribute.mtu, UInt32(mtu))
        + RouteSocket.attribute(Attribute.master, UInt32(bitPattern: index)))
  }
}
