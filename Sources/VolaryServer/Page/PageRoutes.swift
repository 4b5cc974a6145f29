internal import Foundation
internal import HTTPTypes
internal import NIOCore
internal import VolaryAPI
internal import VolaryPage

/// `/ui/`: the web page. Its files hold nothing of anybody's, so they need no right; what they show comes from the
/// API, with the rights of the token that the person has. Each file is a route of its own, so there is no path to
/// be clever with.
package struct PageRoutes: RouteGroup {
  package static let path = "/ui/"

  /// What the page may do, which is little: nothing but this daemon's own files and connections, no inline scripts
  /// and styles, no text that is made into markup (CSP Level 3, Trusted Types). xterm.js keeps to it when it draws
  /// on a canvas.
  static let policy = [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].joined(separator: "; ")

  private let terminal: TerminalParts

  package init(terminal: TerminalParts = TerminalParts()) { self.terminal = terminal }

  package var routes: [Route] {
    PageFile.all.map { file in
      let tag = ETag(of: Data(file.bytes))
      return Self.route(file.name, file.type) { call in
        Self.reply(file.bytes, type: file.type, tag: tag, for: call)
      }
    }
      + TerminalParts.parts.map { part in
        Self.route(part.name, part.type) { call in
          guard let data = try await offThread("page", { terminal.read(part) }) else {
            throw APIError(
              .notFound, "xterm.js, the terminal of the console, is not installed",
              wayOut: "run `make build` and `make install`, or install Debian 13's package node-xterm")
          }
          return Self.reply(data, type: part.type, tag: ETag(of: data), for: call)
        }
      }
  }

  private static func route(_ name: String, _ type: String, _ respond: @escaping Route.Respond) -> Route {
    let media = type.prefix { $0 != ";" }
    return Route(
      .get, path + name, name.isEmpty ? "The web page" : "A file of the web page", right: .anyone,
      answer: .bytes(type: String(media)), action: .respond(respond))
  }

  /// Kept by browsers, and asked about each time: the page changes with the daemon.
  private static func reply(
    _ bytes: some Sequence<UInt8>, type: String, tag: ETag, for call: Call
  ) -> Reply {
    var reply =
      call.headers[.ifNoneMatch].map(tag.matches) == true
      ? Reply(status: .notModified, body: .bytes(ByteBuffer())) : .bytes(bytes, type: type)
    reply.headers[.eTag] = tag.text
    reply.headers[.cacheControl] = "no-cache"
    reply.headers[.contentSecurityPolicy] = policy
    reply.headers[.referrerPolicy] = "no-referrer"
    reply.headers[.openerPolicy] = "same-origin"
    reply.headers[.resourcePolicy] = "same-origin"
    reply.headers[.permissionsPolicy] = "camera=(), geolocation=(), microphone=()"
    return reply
  }
}

extension Call {
  /// Whether an answer for people is wanted more than one for programs (RFC 9110, section 12.5.1). Programs that
  /// take anything get what they always did.
  var prefersPage: Bool {
    var page: Double?
    var json: Double?
    for entry in (headers[.accept] ?? "").lowercased().split(separator: ",") {
      let parts = entry.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
      let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
      switch parts.first {
      case "text/html": page = quality
      case "application/json": json = quality
      default: break
      }
    }
    guard let page, page > 0 else { return false }
    return page > json ?? 0
  }
}
