package import HostSystem
internal import Synchronization

/// A console and named byte streams (virtio 1.3 §5.3).
///
/// Port 0 is the console, `hvc0` in Linux; each further port is a stream that a guest program opens as
/// `/dev/virtio-ports/NAME`. The host's end of a port is a stream socket:
/// - Bytes flow only while both ends take them; who is slow makes the other wait.
/// - What the host sends waits until the guest has opened the port.
/// - The host's end of stream closes the port for the guest, behind the last byte.
/// - The guest's closing shuts the socket's other direction, behind the last byte.
/// - What the guest writes while no socket is attached waits in its queue.
package final class VirtioConsole: WorkerDevice {
  /// A port as the host wants it.
  package struct Port: Sendable {
    /// How a guest finds a port that is no console.
    package let name: String?
    /// The host's end: a stream socket, which becomes nonblocking. Nil: attached later.
    package let socket: Descriptor?

    package init(name: String? = nil, socket: Descriptor? = nil) {
      self.name = name
      self.socket = socket
    }
  }

  /// The console's size in characters; zero when it is not known.
  struct Size: Equatable {
    var columns: UInt16 = 0
    var rows: UInt16 = 0
  }

  /// What other threads than the worker's may change.
  struct HostState {
    var size = Size()
    /// What the driver of the present session has said of the ports.
    var ports: [PortState]
    /// The sockets by port.
    var attachments: [ConsoleAttachment?]
  }

  /// Byte offsets into the configuration space (§5.3.4).
  private enum Field {
    static let columns = 0
    static let rows = 2
    static let maximumPorts = 4
    static let emergencyWrite = 8
    static let size = 12
  }

  /// The most ports: two queues each and two for control make 64 queues.
  package static let maximumPorts = 31

  package let name: String
  package let deviceID = VirtioDeviceID.console
  package let features: VirtioFeatures = [.consoleSize, .consoleMultiport, .consoleEmergencyWrite]
  package let queueMaximums: [UInt16]
  package let configuration = ConfigurationSpace(size: Field.size)

  let worker: VirtioWorker
  let portNames: [String?]
  let host: Mutex<HostState>
  private let abandoned = Atomic(false)

  /// 1 to ``maximumPorts`` ports, of which the first is the console.
  package init(name: String = "virtio-console", ports: [Port]) throws(Errno) {
    precondition((1...Self.maximumPorts).contains(ports.count))
    self.name = name
    portNames = ports.map(\.name)
    // Two for each port and two for control, which come third and fourth.
    queueMaximums = [UInt16](repeating: 64, count: 2 * ports.count + 2)
    var attachments: [ConsoleAttachment?] = []
    for port in ports {
      attachments.append(try port.socket.map { socket throws(Errno) in try ConsoleAttachment(socket) })
    }
    host = Mutex(
      HostState(ports: attachments.map { _ in PortState() }, attachments: attachments))
    worker = try VirtioWorker(name: name)
    configuration.store(UInt32(ports.count), at: Field.maximumPorts)
  }

  // MARK: - From the host

  /// Tells the guest the console's size in characters.
  package func resize(columns: UInt16, rows: UInt16) {
    host.withLock { $0.size = Size(columns: columns, rows: rows) }
    configuration.store(columns, at: Field.columns)
    configuration.store(rows, at: Field.rows)
    worker.raiseConfigurationChange()
    worker.hostChanged()
  }

  /// Gives a port a socket, in place of the one it had, if any. The port is open for the guest again.
  package func attach(_ socket: Descriptor, toPort port: Int) throws(Errno) {
    let attachment = try ConsoleAttachment(socket)
    host.withLock { $0.attachments[port] = attachment }
    worker.hostChanged()
  }

  /// Has nobody be waited for who takes what the guest wrote: the machine ends at once.
  package func abandonOutput() { abandoned.store(true, ordering: .relaxed) }

  var isAbandoned: Bool { abandoned.load(ordering: .relaxed) }

  // MARK: - The device

  package func writeConfiguration(offset: Int, width: Int, value: UInt64) throws(BusFault) {
    guard offset == Field.emergencyWrite, width == 4 || width == 1 else { throw .forbidden }
    // A guest in distress: no queue works, perhaps no driver. What does not go out now is lost.
    guard let console = host.withLock({ $0.attachments[0] }) else { return }
    withUnsafeBytes(of: UInt8(truncatingIfNeeded: value)) { _ = console.channel.write([$0]) }
  }

  func makeSession(_ context: SessionContext) -> any VirtioSession {
    ConsoleSession(device: self, context: context)
  }
}

// MARK: - State

extension VirtioConsole: StatefulVirtioDevice {
  package static let stateKind = "virtio,console"
  package static let stateVersion = 1

  /// What a driver has said of a port.
  package struct PortState: Codable, Equatable, Sendable {
    /// It knows the port and is ready for messages about it.
    package var isReady = false
    /// A program of the guest, or its console, has the port open.
    package var isGuestOpen = false
    /// Messages about the port that the driver is still to be sent (``ConsolePort/Notices``).
    package var notices: UInt8 = 0

    package init() {}
  }

  package struct State: Codable, Equatable, Sendable {
    package var columns: UInt16
    package var rows: UInt16
    package var ports: [PortState]
  }

  package var state: State {
    get { host.withLock { State(columns: $0.size.columns, rows: $0.size.rows, ports: $0.ports) } }
    set {
      host.withLock { host in
        host.size = Size(columns: newValue.columns, rows: newValue.rows)
        for (port, state) in newValue.ports.enumerated() where port < host.ports.count {
          host.ports[port] = state
        }
      }
      configuration.store(newValue.columns, at: Field.columns)
      configuration.store(newValue.rows, at: Field.rows)
    }
  }
}
