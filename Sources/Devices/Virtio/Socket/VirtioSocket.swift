package import HostSystem
internal import Synchronization

/// Stream sockets between the guest's programs and the host's (virtio 1.3 §5.10).
///
/// The host's side are Unix sockets. A program of the host that was handed over by ``GuestPortBroker`` says
/// `CONNECT <port>` in a line, is answered `OK <its own port>` when a program of the guest listens there, and is
/// connected from then on. A guest's connection to port N of CID 2 is one to whatever the broker finds there.
///
/// Bytes for the host wait in a bounded buffer for each connection, whose room the guest is told; bytes for the guest
/// wait in the host's sockets.
package final class VirtioSocket: WorkerDevice {
  /// Byte offsets into the configuration space (§5.10.4).
  private enum Field {
    static let guestCID = 0
    static let size = 8
  }

  /// The host's address.
  package static let hostCID: UInt64 = 2
  /// The guest's address where there is no reason for another.
  package static let usualGuestCID: UInt32 = 3
  /// Connections at once, those included that are still to be made or are about to end.
  package static let mostConnections = 256
  /// Bytes for the host that may wait for each connection.
  package static let bufferSize: UInt32 = 128 << 10

  package let name: String
  package let deviceID = VirtioDeviceID.socket
  package let features: VirtioFeatures = .socketStream
  /// To the driver, from the driver, events.
  package let queueMaximums: [UInt16] = [256, 256, 16]
  package let configuration = ConfigurationSpace(size: Field.size)

  let worker: VirtioWorker
  private let currentBroker: Mutex<UnixSocket>
  private let lastRequest = Atomic<UInt32>(0)

  /// `broker` is the machine's end of a packet socket, which becomes nonblocking. `guestCID` is 3 or more, and not
  /// all ones.
  package init(
    name: String = "virtio-vsock", guestCID: UInt32 = usualGuestCID, broker: UnixSocket
  ) throws(Errno) {
    precondition(guestCID > UInt32(Self.hostCID) && guestCID < .max)
    self.name = name
    currentBroker = Mutex(broker)
    try broker.descriptor.setNonblocking(true)
    worker = try VirtioWorker(name: name)
    configuration.store(UInt64(guestCID), at: Field.guestCID)
  }

  /// Where sockets come from, as ``GuestPortMessage`` says.
  var broker: UnixSocket { currentBroker.withLock { $0 } }

  /// Has sockets come from elsewhere from now on. Connections go on; those for which the former broker was asked are
  /// refused. `broker` becomes nonblocking.
  package func attach(broker: UnixSocket) throws(Errno) {
    try broker.descriptor.setNonblocking(true)
    currentBroker.withLock { $0 = broker }
    worker.hostChanged()
  }

  var guestCID: UInt64 { configuration.load(at: Field.guestCID) }

  /// A number for a request to the broker. Sessions share them, since answers may come after the end of one.
  func nextRequest() -> UInt32 {
    while true {
      let number = lastRequest.wrappingAdd(1, ordering: .relaxed).newValue
      if number != 0 { return number }
    }
  }

  func makeSession(_ context: SessionContext) -> any VirtioSession {
    SocketSession(device: self, context: context)
  }
}
