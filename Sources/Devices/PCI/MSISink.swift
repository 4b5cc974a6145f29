package import GuestMemory

/// Where message-signalled interrupts go. A board without one has no MSI-X, and its functions use INTx.
package protocol MSISink: AnyObject, Sendable {
  /// Delivers a message. Called from any thread while the function is locked: it must not call back.
  func signal(_ message: MSIMessage)
}
