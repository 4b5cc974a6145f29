/// A message-signalled interrupt: a write to the local APICs' address range (Intel SDM volume 3A, 11.11).
package struct MSIMessage: Codable, Hashable, Sendable {
  package var address: UInt64
  package var data: UInt32

  package init(address: UInt64, data: UInt32) {
    self.address = address
    self.data = data
  }

  /// An interrupt of a vector for the CPU with an APIC ID up to 255, in fixed delivery mode.
  package init(vector: UInt8, destination: UInt8, isLevel: Bool = false) {
    address = 0xFEE0_0000 | UInt64(destination) << 12
    data = UInt32(vector) | (isLevel ? 1 << 15 | 1 << 14 : 0)
  }

  /// Whether a write there is an interrupt at all. Guests choose addresses, and may choose others.
  package var isInterrupt: Bool { address >> 20 == 0xFEE }
}
