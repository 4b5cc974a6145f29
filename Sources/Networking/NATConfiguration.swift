package import HostSystem
package import MachineControl

/// The network of one machine behind user-mode NAT. The addresses are those that QEMU's users know.
package struct NATConfiguration: Equatable, Sendable {
  /// The first address of the network, and how many bits of it name the network (8 to 27).
  package var network = IPv4Address(10, 0, 2, 0)
  package var prefixLength = 24
  /// The router, which is the host: what the guest sends there goes to the host's 127.0.0.1.
  package var host: IPv4Address { IPv4Address(network.value + 2) }
  /// Answers DNS from the host's own name server.
  package var nameServer: IPv4Address { IPv4Address(network.value + 3) }
  /// What DHCP gives the guest.
  package var guest: IPv4Address { IPv4Address(network.value + 15) }
  /// Also fec0::/64 by router advertisement, with the host at fec0::2 and names at fec0::3.
  package var hasIPv6 = true
  /// The guest's name by DHCP; nil gives none.
  package var hostname: String?
  /// The largest packet without its Ethernet header, 1280 to 65520 bytes.
  package var mtu = 1500
  package var publishedPorts: [PublishedPort] = []
  /// Nothing leaves: the guest reaches only what comes in by a published port.
  package var isRestricted = false
  /// Whether the guest reaches services on the host's 127.0.0.1.
  package var reachesHostLoopback = true

  package init() {}

  private var hostCount: UInt32 { 1 << UInt32(32 - prefixLength) }
  package var netmask: IPv4Address { IPv4Address(~(hostCount - 1)) }

  /// Throws what is wrong with the values, before libslirp would refuse them without a word.
  package func validate() throws(NATError) {
    guard (8...27).contains(prefixLength) else {
      throw .badConfiguration("the network's prefix must have 8 to 27 bits, not \(prefixLength)")
    }
    guard network.value & (hostCount - 1) == 0, network != .any else {
      throw .badConfiguration("\(network)/\(prefixLength) is not the first address of a network")
    }
    guard (1280...65520).contains(mtu) else {
      throw .badConfiguration("the MTU must be 1280 to 65520 bytes, not \(mtu)")
    }
    if let hostname {
      let isPlain = hostname.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
          true
        default: false
        }
      }
      // libslirp's room for the name is 33 bytes.
      guard isPlain, (1...32).contains(hostname.utf8.count) else {
        throw .badConfiguration(
          "a host name has 1 to 32 letters, digits, dots and hyphens, not “\(hostname)”")
      }
    }
  }
}
