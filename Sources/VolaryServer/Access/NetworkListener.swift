internal import Foundation
internal import Glibc
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
package import VolaryAPI

/// The daemon's place on the network, by `core.https_address`: none, until somebody says where.
package actor NetworkListener {
  static let defaultPort = 8443
  /// How often, and after which time again, a place is tried that is about to be free.
  private static let attempts = 20
  private static let pause: Duration = .milliseconds(100)
  /// How long requests in progress may take when it ends.
  private static let lastRequests: Duration = .seconds(10)

  private struct Running {
    let address: String
    let bound: SocketAddress
    let group: ServiceGroup
    let task: Task<Void, any Error>
  }

  private let directory: String
  private let logger: Logger
  private var dispatcher: Dispatcher?
  private var running: Running?
  private(set) var certificate: ServerCertificate?

  init(directory: String, logger: Logger) {
    self.directory = directory
    self.logger = logger
  }

  /// What answers requests; once, before the first `listen`.
  func use(_ dispatcher: Dispatcher) { self.dispatcher = dispatcher }

  /// Listens at `HOST:PORT`, `:PORT` or `HOST` from now on, nowhere else; nil or nothing for nowhere.
  /// When that cannot be, it goes on listening where it did.
  func listen(at address: String?) async throws {
    let address = address.flatMap { $0.isEmpty ? nil : $0 }
    if address == running?.address { return }
    let old = running
    guard let address else {
      running = nil
      await old?.group.triggerGracefulShutdown()
      return
    }
    let (host, port) = try Self.parse(address)
    if certificate == nil { certificate = try ServerCertificate(directory: directory, host: Self.hostName) }
    do { running = try await start(address, host: host, port: port) } catch {
      // The old one may be what is in the way: the same port of another address.
      guard let old, port != 0, old.bound.port == port else { throw error }
      running = nil
      await old.group.triggerGracefulShutdown()
      do { running = try await restart(address, host: host, port: port) } catch {
        running = try await restart(old.address, host: old.bound.ipAddress ?? host, port: port)
        throw error
      }
      return
    }
    await old?.group.triggerGracefulShutdown()
  }

  /// Listens no more, and returns when the connections have ended too.
  func stop() async {
    guard let old = running else { return }
    running = nil
    await old.group.triggerGracefulShutdown()
    _ = await old.task.result
  }

  /// Where one that is ending listens: until it has ended, the place is taken.
  private func restart(_ address: String, host: String, port: Int) async throws -> Running {
    for _ in 0..<Self.attempts {
      if let started = try? await start(address, host: host, port: port) { return started }
      try await Task.sleep(for: Self.pause)
    }
    return try await start(address, host: host, port: port)
  }

  /// Where clients find it: each `ADDRESS:PORT`.
  var addresses: [String] {
    guard let bound = running?.bound, let port = bound.port, let address = bound.ipAddress else { return [] }
    guard ["0.0.0.0", "::"].contains(address) else { return [Self.join(address, port)] }
    let own = (try? System.enumerateDevices()) ?? []
    let all = own.compactMap { device in device.address?.ipAddress }
      .filter { !$0.hasPrefix("fe80:") && !["127.0.0.1", "::1"].contains($0) }
    return (all.isEmpty ? ["127.0.0.1"] : all).map { Self.join($0, port) }
  }

  private func start(_ address: String, host: String, port: Int) async throws -> Running {
    guard let dispatcher, let certificate else {
      throw APIError(.failed, "the daemon is not ready to listen")
    }
    let (outcomes, report) = AsyncStream.makeStream(of: Result<SocketAddress, any Error>.self)
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    let server = ServerChannel(dispatcher, tls: certificate.context).server(
      configuration: .init(address: .hostname(host, port: port)),
      onServerRunning: { channel in
        report.yield(
          channel.localAddress.map { .success($0) }
            ?? .failure(APIError(.failed, "the socket has no address")))
      },
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
    var configuration = ServiceGroupConfiguration(services: [.init(service: server)], logger: quiet)
    configuration.maximumGracefulShutdownDuration = Self.lastRequests
    let group = ServiceGroup(configuration: configuration)
    // Of its own: it ends when it is told to, not with the request that began it.
    let task = Task.detached {
      do { try await group.run() } catch {
        report.yield(.failure(error))
        throw error
      }
    }
    for await outcome in outcomes {
      switch outcome {
      case .success(let bound):
        logger.notice("volaryd listens at https://\(Self.join(bound.ipAddress ?? host, bound.port ?? port))")
        return Running(address: address, bound: bound, group: group, task: task)
      case .failure(let error):
        let problem = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
        throw APIError.invalid("cannot listen at \(address): \(problem)")
      }
    }
    task.cancel()
    throw CancellationError()
  }

  // MARK: - Addresses

  package static func parse(_ text: String) throws(APIError) -> (host: String, port: Int) {
    let problem = APIError.invalid(
      "`\(text.prefix(80))` is no address: it is ADDRESS:PORT, :PORT or [ADDRESS]:PORT")
    var rest = text[...]
    var host: Substring
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { throw problem }
      host = rest[rest.index(after: rest.startIndex)..<end]
      rest = rest[rest.index(after: end)...]
    } else if rest.count(where: { $0 == ":" }) > 1 {
      (host, rest) = (rest, "")
    } else {
      let end = rest.firstIndex(of: ":") ?? rest.endIndex
      (host, rest) = (rest[..<end], rest[end...])
    }
    if host.isEmpty { host = "0.0.0.0" }
    if rest.isEmpty { return (String(host), defaultPort) }
    guard rest.hasPrefix(":"), let port = Int(rest.dropFirst()), (0...65535).contains(port) else {
      throw problem
    }
    return (String(host), port)
  }

  private static func join(_ address: String, _ port: Int) -> String {
    address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
  }

  private static var hostName: String {
    var names = utsname()
    uname(&names)
    return withUnsafeBytes(of: names.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
