internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import HostSystem
internal import Synchronization
internal import VolaryAPI
internal import VolaryHost

/// The daemon that commands about instances speak to: the user's own, which is started when none answers.
enum Daemon {
  /// Seconds that a daemon that was just started has until it answers.
  private static let patience = 20.0

  /// Does something with the daemon, and waits for it.
  static func run<Value: Sendable>(_ body: @escaping @Sendable (APIClient) async throws -> Value) throws
    -> Value
  {
    try wait(for: connect, body)
  }

  /// Does something with the daemon if it runs.
  static func ifThere<Value: Sendable>(_ body: @escaping @Sendable (APIClient) async throws -> Value) throws
    -> Value
  {
    try wait(for: { APIClient(.unix(path: DaemonPaths.socket)) }, body)
  }

  private static func wait<Value: Sendable>(
    for connect: @escaping @Sendable () async throws -> APIClient,
    _ body: @escaping @Sendable (APIClient) async throws -> Value
  ) throws -> Value {
    let outcome = Mutex<Result<Value, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    Task {
      let result: Result<Value, any Error>
      do {
        let client = try await connect()
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.shutdown()
      } catch { result = .failure(error) }
      outcome.withLock { $0 = result }
      done.signal()
    }
    done.wait()
    do {
      guard let result = outcome.withLock({ $0 }) else { throw VolaryError("the command came to nothing") }
      return try result.get()
    } catch let error as APIError { throw VolaryError(error) }
  }

  /// A client of a daemon that answers.
  private static func connect() async throws -> APIClient {
    let client = APIClient(.unix(path: DaemonPaths.socket))
    do {
      _ = try await client.raw("GET", "/healthz")
      return client
    } catch  where error.code == .unreachable {
      do { try await start(client) } catch {
        await client.shutdown()
        throw error
      }
      return client
    } catch {
      await client.shutdown()
      throw error
    }
  }

  /// Starts the user's own daemon, which goes on when this command has ended.
  private static func start(_ client: APIClient) async throws {
    // The host's daemon is systemd's to start; another in its place would have other instances.
    if DaemonPaths.socket == DaemonPaths.hostSocket,
      geteuid() != 0 || access("/etc/systemd/system/volaryd.service", F_OK) == 0
    {
      throw VolaryError(
        .daemonUnreachable, "the host's daemon does not answer at \(DaemonPaths.hostSocket)",
        wayOut: "sudo systemctl start volaryd; or VOLARY_DATA names a directory for one of your own")
    }
    let data = DaemonPaths.dataDirectory
    let logPath = "\(data)/volaryd.log"
    let process: ChildProcess
    do {
      try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
      let log = try Descriptor.open(logPath, O_WRONLY | O_CREAT | O_APPEND)
      process = try HelperProgram.daemon.start([], output: log, descriptors: [], outlivesStarter: true)
    } catch let error as Errno { throw VolaryError(.init(error), "cannot write \(logPath): \(error)") }
    let deadline = ContinuousClock.now + .seconds(patience)
    while ContinuousClock.now < deadline {
      if (try? await client.raw("GET", "/healthz")) != nil { return }
      if let exit = process.reap() {
        // Another command may have been faster.
        if (try? await client.raw("GET", "/healthz")) != nil { return }
        throw VolaryError(
          .daemonUnreachable, "the daemon could not be started: it \(exit)",
          lastWords: LogTail.last(5, of: logPath))
      }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw VolaryError(
      .daemonUnreachable, "the daemon does not answer at \(DaemonPaths.socket)", wayOut: "see \(logPath)")
  }
}

extension VolaryError {
  /// What the daemon says, for a person.
  init(_ error: APIError) {
    self.init(Code(rawValue: error.code.exitCode) ?? .failed, error.message, wayOut: error.wayOut)
  }
}

/// What commands about instances share.
struct ProjectOption: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("The project.", valueName: "name"))
  var project = ProcessInfo.processInfo.environment["VOLARY_PROJECT"] ?? "default"

  var query: [(String, String)] { [("project", project)] }
}

extension APIClient {
  /// Begins an operation, shows how far it is, and waits for its end. Ctrl-C leaves it to itself.
  @discardableResult
  func follow(_ reply: APIReply, quiet: Bool = false) async throws -> OperationObject {
    let operation = try reply.operation()
    let line = ProgressLine(isQuiet: quiet)
    defer { line.clear() }
    return try await wait(for: operation) { line.show($0) }
  }
}

extension OperationObject {
  /// The name of the first thing of a kind that an operation is about.
  func madeName(_ kind: String) -> String {
    resources[kind]?.first?.split(separator: "/").last.map(String.init) ?? ""
  }
}
