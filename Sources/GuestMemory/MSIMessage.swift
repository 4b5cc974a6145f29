/// A message-signalled interrupt: a write of 32 bits to an address that is no memory (PCI 3.0 §6.8).
package struct MSIMessage: Codable, Hashable, Sendable {
  package var address: UInt64
  package var data: UInt32

  package init(address: UInt64, data: UInt32) {
    self.address = address
    self.data = data
  }
}
