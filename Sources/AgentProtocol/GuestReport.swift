/// What a guest says of itself.
package struct GuestReport: Equatable, Sendable {
  package struct Address: Equatable, Sendable {
    /// In bits, from the front.
    package var prefix: UInt8
    /// As rtnetlink(7) has it: 0 global, 253 link, 254 host.
    package var scope: UInt8
    /// 4 or 16.
    package var bytes: [UInt8]

    package init(prefix: UInt8, scope: UInt8, bytes: [UInt8]) {
      self.prefix = prefix
      self.scope = scope
      self.bytes = bytes
    }
  }

  package struct Interface: Equatable, Sendable {
    package var name: [UInt8] = []
    package var hardwareAddress: [UInt8] = []
    package var mtu: UInt32 = 0
    /// IFF_UP 1, IFF_LOOPBACK 8, IFF_RUNNING 64 (netdevice(7)).
    package var flags: UInt32 = 0
    /// Packets received, sent; bytes received, sent; errors in, out; dropped in, out.
    package var counters: [UInt64] = Array(repeating: 0, count: 8)
    package var addresses: [Address] = []

    package init() {}
  }

  package var version = AgentProtocol.version
  package var hostname: [UInt8] = []
  /// Of the kernel.
  package var release: [UInt8] = []
  /// /etc/os-release as it stands.
  package var system: [UInt8] = []
  package var processes: UInt32 = 0
  /// Bytes of memory: all, available, of swap, of it free.
  package var memory: [UInt64] = Array(repeating: 0, count: 4)
  package var interfaces: [Interface] = []

  package init() {}

  package var encoded: [UInt8] {
    var writer = AgentWriter()
    writer.integer(version)
    writer.string(hostname)
    writer.string(release)
    writer.string(system)
    writer.integer(processes)
    for value in memory { writer.integer(value) }
    writer.integer(UInt32(truncatingIfNeeded: interfaces.count))
    for interface in interfaces {
      writer.string(interface.name)
      writer.string(interface.hardwareAddress)
      writer.integer(interface.mtu)
      writer.integer(interface.flags)
      for value in interface.counters { writer.integer(value) }
      writer.integer(UInt32(truncatingIfNeeded: interface.addresses.count))
      for address in interface.addresses {
        writer.integer(address.prefix)
        writer.integer(address.scope)
        writer.string(address.bytes)
      }
    }
    return writer.bytes
  }

  /// What later versions add behind is not read.
  package init(decoding bytes: [UInt8]) throws(AgentProtocolError) {
    var reader = AgentReader(bytes)
    version = try reader.integer()
    hostname = try reader.string()
    release = try reader.string()
    system = try reader.string()
    processes = try reader.integer()
    for index in 0..<4 { memory[index] = try reader.integer() }
    // Both counts are bounded by what is there: each round reads some of it.
    for _ in 0..<(try reader.integer(UInt32.self)) {
      var interface = Interface()
      interface.name = try reader.string()
      interface.hardwareAddress = try reader.string()
      interface.mtu = try reader.integer()
      interface.flags = try reader.integer()
      for index in 0..<8 { interface.counters[index] = try reader.integer() }
      for _ in 0..<(try reader.integer(UInt32.self)) {
        let prefix: UInt8 = try reader.integer()
        let scope: UInt8 = try reader.integer()
        let bytes = try reader.string()
        guard bytes.count == 4 && prefix <= 32 || bytes.count == 16 && prefix <= 128 else { throw .badValue }
        interface.addresses.append(Address(prefix: prefix, scope: scope, bytes: bytes))
      }
      interfaces.append(interface)
    }
  }
}
