/// A message-signalled interrupt: a write of 32 bits to an address (PCI 3.0 §6.8).
package struct MSIMessage: Hashable, Codable, Sendable {
  package var address: UInt64
  package var data: UInt32

  package init(address: UInt64, data: UInt32) {
    self.address = address
    self.data = data
  }
}

/// Where message-signalled interrupts go. A board without one has no MSI-X, and its functions use INTx.
package protocol MSISink: AnyObject, Sendable {
  /// Delivers a message. Called from any thread while the function is locked: it must not call back.
  func signal(_ message: MSIMessage)
}
