internal import Foundation
internal import GRDB
internal import Glibc
internal import HTTPTypes
internal import MachineControl
internal import NIOCore
internal import VolaryAPI

/// The daemon itself: what it is, whether it is well, and its document.
package struct ServerRoutes: RouteGroup {
  private let services: DaemonServices
  private let listener: NetworkListener
  private let settings: ServerSettings
  private let extensions: [String]
  private let document: LazyDocument

  init(
    _ services: DaemonServices, _ listener: NetworkListener, extensions: [String], document: LazyDocument
  ) {
    self.services = services
    self.listener = listener
    settings = ServerSettings(services: services, listener: listener)
    self.extensions = extensions
    self.document = document
  }

  package var routes: [Route] {
    [
      Route(
        .get, "/", "The versions of the API; browsers are sent to the page", right: .anyone,
        answer: .object([String].self), action: .respond { try versions($0) }),
      .get("/1.0", "What this daemon and its host are", right: .anyone) { call in
        try await server(call.identity)
      },
      .change(.put, "/1.0", "Set the daemon's configuration", right: .administer) { (call, body: ServerPut) in
        try await change(call) { $0 = body.config ?? [:] }
      },
      .change(.patch, "/1.0", "Change some of the daemon's configuration", right: .administer) {
        (call, body: ServerPut) in
        try await change(call) { $0.merge(body.config ?? [:]) { _, new in new } }
      },
      Route(
        .get, "/1.0/openapi.json", "This document", right: .anyone, answer: .bytes(type: "application/json"),
        action: .respond { _ in .bytes(try document.bytes, type: "application/json") }),
      Route(
        .get, "/healthz", "Whether the daemon lives", right: .anyone, answer: .bytes(type: "text/plain"),
        action: .respond { _ in .bytes("ok\n".utf8, type: "text/plain") }),
      Route(
        .get, "/readyz", "Whether the daemon can do its work", right: .anyone,
        answer: .bytes(type: "text/plain"),
        action: .respond { _ in
          do {
            _ = try await services.store.read { try ProjectRecord.all().fetchCount($0) }
            return .bytes("ready\n".utf8, type: "text/plain")
          } catch { throw APIError(.unavailable, "the store cannot be read") }
        }),
    ]
  }

  private func versions(_ call: Call) throws -> Reply {
    var reply =
      call.prefersPage
      ? Reply(status: .found, headers: [.location: PageRoutes.path], body: .bytes(ByteBuffer()))
      : try .tagged(["/1.0"], for: call)
    reply.headers[.vary] = "Accept"
    return reply
  }

  private func server(_ identity: Identity?) async throws -> ServerObject {
    let environment = identity == nil ? nil : await Self.environment(listener)
    // What it is configured with is nobody's who may not change it.
    let config =
      identity.map { $0.role == .admin && $0.projects == nil } == true ? try await settings.all : [:]
    return ServerObject(
      apiExtensions: extensions, trusted: identity != nil, userName: identity?.name,
      userMethod: identity?.methodWord, environment: environment, config: identity.map { _ in config })
  }

  private func change(_ call: Call, _ edit: (inout [String: String]) -> Void) async throws {
    try call.checkMatch(try await server(call.identity))
    try await settings.change(edit)
    await services.events.lifecycle("config-updated", source: "/1.0", project: nil, requestor: call.identity)
  }

  private static func environment(_ listener: NetworkListener) async -> ServerObject.Environment {
    var names = utsname()
    uname(&names)
    let release = osRelease()
    let machine = text(names.machine)
    return ServerObject.Environment(
      addresses: await listener.addresses, architectures: [machine],
      certificate: await listener.certificate?.pem ?? "",
      certificateFingerprint: await listener.certificate?.fingerprint ?? "", driver: "volary",
      driverVersion: volaryVersion, firewall: "", kernel: text(names.sysname), kernelArchitecture: machine,
      kernelVersion: text(names.release), osName: release["NAME"] ?? "",
      osVersion: release["VERSION_ID"] ?? "",
      project: ProjectRecord.default, server: "volary", serverName: text(names.nodename),
      serverPid: Int(getpid()), serverVersion: volaryVersion, storage: "", storageVersion: "")
  }

  /// A field of utsname, which ends with a zero.
  private static func text<Field>(_ field: Field) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// os-release(5), without quotes.
  private static func osRelease() -> [String: String] {
    let text = (try? String(contentsOfFile: "/etc/os-release", encoding: .utf8)) ?? ""
    let pairs = text.split(separator: "\n").compactMap { line -> (String, String)? in
      let parts = line.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else { return nil }
      return (String(parts[0]), parts[1].trimmingCharacters(in: CharacterSet(charactersIn: "\"'")))
    }
    return Dictionary(pairs, uniquingKeysWith: { _, last in last })
  }
}
