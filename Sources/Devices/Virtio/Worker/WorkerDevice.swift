internal import HostSystem

/// A device that does all its work on one ``VirtioWorker``.
protocol WorkerDevice: VirtioDevice {
  var worker: VirtioWorker { get }

  /// Makes the work of one activation; called on the worker's thread.
  func makeSession(_ context: SessionContext) -> any VirtioSession
}

extension WorkerDevice {
  package func activate(_ activation: VirtioActivation) throws(Errno) {
    try worker.begin(activation) { [unowned self] in makeSession($0) }
  }

  package func notify(queue: Int) { worker.notify(queue: queue) }
  package func doorbell(queue: Int) throws(Errno) -> EventCounter? { try worker.doorbell(queue: queue) }
  package func hold() { worker.hold() }
  package func release() { worker.release() }
  package func stop(queue: Int) { worker.stop(queue: queue) }
  package func reset() { worker.end() }
  package func stop() { worker.stop() }
}
