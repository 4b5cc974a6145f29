internal import Glibc
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

    package init(socketPath: String, dataDirectory: String) {
      self.socketPath = socketPath
      self.dataDirectory = dataDirectory
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
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    let store = try Store(directory: configuration.dataDirectory)
    let socket = SocketFile(path: configuration.socketPath)
    try socket.prepare()
    let events = Events()
    let operations = Operations(store: store, events: events, logger: logger)
    try await operations.recover()
    let services = DaemonServices(
      store: store, operations: operations, events: events, logger: logger,
      dataDirectory: configuration.dataDirectory)
    let parts = try await parts(services)
    for part in parts { try await part.start() }
    let server = server(services, parts, socket)
    let course = DaemonCourse(services: services, parts: parts)
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

  private func server(
    _ services: DaemonServices, _ parts: [any DaemonPart], _ socket: SocketFile
  ) -> any Service {
    let document = LazyDocument()
    let groups: [any RouteGroup] =
      [
        EventRoutes(services.events), OperationRoutes(services.operations),
        ProjectRoutes(store: services.store, events: services.events),
      ] + parts
    let extensions = Array(Set(groups.flatMap(\.apiExtensions))).sorted()
    let own = ServerRoutes(services, extensions: extensions, document: document)
    let table = RouteTable(own.routes + groups.flatMap(\.routes))
    document.describe(table)
    let user = getuid()
    let dispatcher = Dispatcher(
      table: table,
      authenticate: { peer, _ in
        if case .unix(let uid) = peer { Identity.unix(user: uid, daemon: user) } else { nil }
      },
      store: services.store, logger: logger)
    let logger = logger
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    return ServerChannel(dispatcher).server(
      configuration: .init(address: .unixDomainSocket(path: socket.path)),
      onServerRunning: { _ in
        socket.restrict()
        logger.notice("volaryd listens at \(socket.path)")
      },
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
  }
}

/// What goes on for as long as the daemon runs, and what comes before its connections end.
private struct DaemonCourse: Service {
  private static let interval: Duration = .seconds(3600)

  let services: DaemonServices
  let parts: [any DaemonPart]

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do { try await services.store.backUpIfDue() } catch {
          services.logger.error("the store cannot be backed up: \(error)")
        }
        try await Task.sleep(for: Self.interval)
      }
    }
    await services.operations.shutdown()
    for part in parts.reversed() { await part.stop() }
    await services.events.finish()
  }
}
