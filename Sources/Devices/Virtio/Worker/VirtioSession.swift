/// A device's work between one activation and the next reset. It lives on the device's worker thread
/// alone, so that its state needs no lock, and an error it throws breaks the device until a reset.
protocol VirtioSession: AnyObject {
  /// The first call.
  func begin() throws(QueueError)

  /// The driver may have made buffers available in a queue. Called for every queue at the start.
  func process(queue: Int) throws(QueueError)

  /// A descriptor that the session watches is ready.
  func ready(token: UInt64) throws(QueueError)

  /// The host changed what the session works for: a size, a target, a connection.
  func hostChanged() throws(QueueError)

  /// Finishes and completes what was taken from the queues. Nothing is taken, and no memory of the guest's touched, until
  /// the next call.
  func rest()

  /// Goes on after ``rest()``: with those of the queues that were not stopped since.
  func wake() throws(QueueError)

  /// The machine has ended: what the guest gave away is brought where it was to go, as long as somebody takes it.
  /// ``end()`` follows.
  func drain()

  /// The last call: a reset, or an error of the session's own.
  func end()
}

extension VirtioSession {
  func begin() throws(QueueError) {}
  func ready(token: UInt64) throws(QueueError) {}
  func hostChanged() throws(QueueError) {}
  func rest() {}
  func wake() throws(QueueError) {}
  func drain() {}
  func end() {}
}
