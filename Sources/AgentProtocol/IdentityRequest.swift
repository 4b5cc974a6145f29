/// What a guest is told that goes on as another machine than it was, since it was copied while it ran.
package struct IdentityRequest: Sendable {
  /// The most bytes of a host's name (HOST_NAME_MAX).
  package static let mostName = 64

  /// The host's name from now on.
  package var hostName: [UInt8]
  /// The network card's address as the guest knows it, and as it is: six bytes each, or none.
  package var oldAddress: [UInt8]
  package var newAddress: [UInt8]
  /// Random bytes that no other machine was told: for the kernel's random numbers, and for what the guest's system is
  /// known by.
  package var seed: [UInt8]

  package init(hostName: [UInt8], oldAddress: [UInt8], newAddress: [UInt8], seed: [UInt8]) {
    self.hostName = hostName
    self.oldAddress = oldAddress
    self.newAddress = newAddress
    self.seed = seed
  }

  package var encoded: [UInt8] {
    var writer = AgentWriter()
    for field in [hostName, oldAddress, newAddress, seed] { writer.string(field) }
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(AgentProtocolError) {
    var reader = AgentReader(bytes)
    hostName = try reader.string()
    oldAddress = try reader.string()
    newAddress = try reader.string()
    seed = try reader.string()
    try reader.finish()
    guard hostName.count <= Self.mostName, seed.count <= 256,
      oldAddress.count == newAddress.count, oldAddress.isEmpty || oldAddress.count == 6
    else { throw .truncated }
  }
}
