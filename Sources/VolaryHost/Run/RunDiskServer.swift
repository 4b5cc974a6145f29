import DiskImages
import Glibc
import HostSystem
import MachineControl
import Synchronization

/// The server of the disk that `volary run` was given, for when its connection is lost.
final class RunDiskServer {
  /// What the connector's threads leave for the session's.
  private final class Basket: Sendable {
    let sockets = Mutex<[Descriptor]>([])
    let failure = Mutex<Errno?>(nil)
    let signal: EventCounter

    init() throws(Errno) { signal = try EventCounter() }
  }

  private let machine: String
  private let location: NBDLocation
  private let basket: Basket
  private let connector: DiskConnector
  private var isLost = false

  /// Nil when the machine has no such disk.
  init?(_ plan: RunPlan) {
    guard let location = plan.ownDisk?.location, let basket = try? Basket() else { return nil }
    machine = plan.name
    self.location = location
    self.basket = basket
    connector = DiskConnector([MachineLauncher.ownDiskSerial: location]) { _, error in
      basket.failure.withLock { $0 = error }
      basket.signal.signal()
    } handOver: { _, socket in
      basket.sockets.withLock { $0.append(socket) }
      basket.signal.signal()
    }
  }

  deinit { connector.stop() }

  /// Readable when there is something to hand over.
  var pollEntry: pollfd { pollfd(fd: basket.signal.descriptor.raw, events: Int16(POLLIN), revents: 0) }

  /// The machine asks for another connection. A line for the person, the first time.
  func lost(_ reason: String) -> String? {
    connector.connect(MachineLauncher.ownDiskSerial)
    defer { isLost = true }
    return isLost
      ? nil
      : "volary: \(machine): the disk \(location) has lost its server (\(reason)); what the guest asks of it waits"
  }

  func returned() -> String? {
    defer { isLost = false }
    return isLost ? "volary: \(machine): the disk \(location) has its server again" : nil
  }

  /// Gives the machine the connections that have come. A line for the person, where there are none.
  func handOver(_ control: ControlClient) -> String? {
    basket.signal.drain()
    let sockets = basket.sockets.withLock { sockets in
      defer { sockets = [] }
      return sockets
    }
    for socket in sockets {
      _ = try? control.call(.attachDisk(MachineLauncher.ownDiskSerial), descriptors: [socket])
    }
    return basket.failure.withLock { $0.take() }.map {
      "volary: \(machine): the server of \(location) cannot be reached: \($0); it is tried again and again"
    }
  }
}
