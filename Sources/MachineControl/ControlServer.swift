package import HostSystem
internal import Synchronization

/// The machine's end of its control socket: has a ``MachineControlHandler`` carry requests out, sends replies and
/// events.
///
/// With a listener it outlives its controllers: when one is gone it waits for the next, and one that connects takes
/// the place of one that is there, which may hang. Events that nobody took are the next one's.
package final class ControlServer: Sendable {
  /// Until it is served: from then on nobody keeps it open that does not use it.
  private let first: Mutex<UnixSocket?>
  private let listener: Descriptor?
  private let outbox: ControlOutbox

  /// `controller` is of the kind `.sequencedPacket`, and becomes nonblocking. `listener`, if there is one, is a
  /// listening socket of that kind, which is nonblocking.
  package init(_ controller: UnixSocket, listener: Descriptor? = nil) throws(Errno) {
    first = Mutex(controller)
    self.listener = listener
    outbox = try ControlOutbox()
    try controller.descriptor.setNonblocking(true)
    outbox.connect(controller)
  }

  /// Serves requests until the machine has nobody to be there for: until the controller closes its end, or with a
  /// listener, until one does while nothing is configured. Call it once.
  package func serve(_ handler: any MachineControlHandler) throws(ControlError) {
    let loop: ControlLoop
    do throws(Errno) {
      guard let controller = first.withLock({ $0.take() }) else { throw Errno.invalid }
      loop = try ControlLoop(listener: listener, outbox: outbox, handler: handler)
      try loop.take(controller)
    } catch { throw .system(error) }
    try loop.run()
  }

  /// Tells the controller, or the next one. Callable from any thread, and never waits, so that a controller that
  /// sleeps does not hold up the guest.
  package func send(_ event: ControlEvent) { outbox.post(event) }

  /// Waits up to `milliseconds` for a controller that is slow to take what it was sent.
  package func drain(milliseconds: Int32) { outbox.drain(milliseconds: milliseconds) }
}
