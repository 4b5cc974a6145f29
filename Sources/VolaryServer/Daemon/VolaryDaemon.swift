internal import GRDB
internal import Glibc
internal import HostSystem
internal import HummingbirdCore
package import Logging
internal import NIOPosix
internal import ServiceLifecycle
internal import UnixSignals
internal import VolaryAPI

/// The daemon: its store, its operations and events, its parts, and the socket at which it is spoken to.
package struct VolaryDaemon: Sendable {
  package struct Configuration: Sendable {
    package var socketPath: String
    package var dataDirectory: String
    /// A group of the host's whose members may use the socket.
    package var group: String?

    package init(socketPath: String, dataDirectory: String, group: String? = nil) {
      self.socketPath = socketPath
      self.dataDirectory = dataDirectory
      self.group = group
    }
  }

  /// Makes the parts that the daemon is made of beside its frame.
  package typealias Parts = @Sendable (DaemonServices) async throws -> [any DaemonPart]

  /// How long requests in progress may take when the daemon ends.
  private static let lastRequests: Duration = .seconds(10)

  private let configuration: Configuration
  private let logger: Logger
  private let parts: Parts

  package init(
    _ configuration: Configuration, logger: Logger, parts: @escaping Parts = { _ in [] }
  ) {
    self.configuration = configuration
    self.logger = logger
    self.parts = parts
  }

  /// Runs until SIGTERM or SIGINT.
  package func run() async throws {
    // Nothing that the daemon makes is for others to read.
    umask(0o077)
    // Nor does it keep the directory of whoever started it from being unmounted.
    chdir("/")
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    let store = try Store(directory: configuration.dataDirectory)
    let users = try configuration.group.map { name throws(APIError) in try UnixGroup(named: name) }
    let socket = SocketFile(path: configuration.socketPath, group: users?.identifier)
    try socket.prepare()
    let events = Events()
    let operations = Operations(store: store, events: events, logger: logger)
    // A full disk is no reason to leave instances alone.
    do { try await operations.recover() } catch let error as APIError where error.code == .noSpace {
      logger.error("what the last daemon left under way cannot be written down: \(error)")
    }
    let services = DaemonServices(
      store: store, operations: operations, events: events, logger: logger,
      dataDirectory: configuration.dataDirectory)
    let parts = try await parts(services)
    for part in parts { try await part.start() }
    let listener = NetworkListener(directory: configuration.dataDirectory, logger: logger)
    let dispatcher = dispatcher(services, parts, listener, users)
    await listener.use(dispatcher)
    try await listen(listener, store)
    let server = server(dispatcher, socket)
    let course = DaemonCourse(services: services, parts: parts, listener: listener)
    var group = ServiceGroupConfiguration(
      // The last ends first: nothing goes on that a request could wait for when the connections end.
      services: [.init(service: server), .init(service: course)],
      gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    group.maximumGracefulShutdownDuration = Self.lastRequests
    do { try await ServiceGroup(configuration: group).run() } catch is CancellationError {
      logger.warning("some connections had to be cut off")
    }
    socket.remove()
    try store.close()
  }

  /// An address that is not there today is no reason to let instances wait.
  private func listen(_ listener: NetworkListener, _ store: Store) async throws {
    let address = try await store.read {
      try SettingRecord.fetchOne($0, key: ServerSettings.httpsAddress)?.value
    }
    do { try await listener.listen(at: address) } catch let error as APIError { logger.error("\(error)") }
  }

  private func dispatcher(
    _ services: DaemonServices, _ parts: [any DaemonPart], _ listener: NetworkListener, _ group: UnixGroup?
  ) -> Dispatcher {
    let document = LazyDocument()
    let groups: [any RouteGroup] =
      [
        EventRoutes(services.events), OperationRoutes(services.operations),
        ProjectRoutes(store: services.store, events: services.events),
        AccessRoutes(store: services.store, events: services.events, listener: listener),
        PageRoutes(),
      ] + parts
    let extensions = Array(Set(groups.flatMap(\.apiExtensions))).sorted()
    let own = ServerRoutes(services, listener, extensions: extensions, document: document)
    let table = RouteTable(own.routes + groups.flatMap(\.routes))
    document.describe(table)
    let authentication = Authentication(store: services.store, user: getuid(), group: group)
    return Dispatcher(
      table: table, authenticate: authentication.identity, store: services.store, logger: logger)
  }

  private func server(_ dispatcher: Dispatcher, _ socket: SocketFile) -> any Service {
    let logger = logger
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    return ServerChannel(dispatcher).server(
      configuration: .init(address: .unixDomainSocket(path: socket.path)),
      onServerRunning: { _ in
        socket.restrict()
        logger.notice("volaryd listens at \(socket.path)")
        ServiceManager.notify("READY=1")
      },
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
  }
}

/// What goes on for as long as the daemon runs, and what comes before its connections end.
private struct DaemonCourse: Service {
  private static let interval: Duration = .seconds(20)
  /// Of these intervals, between two looks at whether a backup is due.
  private static let backup = 180

  let services: DaemonServices
  let parts: [any DaemonPart]
  let listener: NetworkListener

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      for turn in 0... {
        if turn % Self.backup == 0 {
          do { try await services.store.backUpIfDue() } catch {
            services.logger.error("the store cannot be backed up: \(error)")
          }
        }
        HostHeap.trim()
        try await Task.sleep(for: Self.interval)
      }
    }
    ServiceManager.notify("STOPPING=1")
    // Of its own, so that it is not cut off where it takes longer than requests may: guests that end with the host.
    await Task {
      await services.operations.shutdown()
      for part in parts.reversed() { await part.stop() }
      await services.events.finish()
      await listener.stop()
    }.value
  }
}
