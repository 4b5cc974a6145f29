/// By what means a transport interrupts its driver. Called with the transport's registers locked, so that
/// changes come in order; nothing here may call back.
protocol TransportInterrupts: Sendable {
  /// Some bit of the interrupt status is set, or none is any more.
  func setPending(_ isPending: Bool)

  /// Something happened whose message the driver gave this number.
  func send(vector: UInt16)
}

/// A wire alone: it has no messages.
extension InterruptLine: TransportInterrupts {
  func setPending(_ isPending: Bool) { setLevel(isPending) }
  func send(vector: UInt16) {}
}
