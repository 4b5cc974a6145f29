package import GuestMemory

/// Messages to local APICs: writes to their address range (Intel SDM volume 3A, 11.11).
extension MSIMessage {
  /// An interrupt of a vector for the CPU with an APIC ID up to 255, in fixed delivery mode.
  package init(vector: UInt8, destination: UInt8, isLevel: Bool = false) {
    self.init(
      address: 0xFEE0_0000 | UInt64(destination) << 12,
      data: UInt32(vector) | (isLevel ? 1 << 15 | 1 << 14 : 0))
  }

  /// Whether a write there is an interrupt at all. Guests choose addresses, and may choose others.
  package var isInterrupt: Bool { address >> 20 == 0xFEE }
}
