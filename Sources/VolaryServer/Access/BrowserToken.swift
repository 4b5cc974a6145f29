internal import HTTPTypes
internal import NIOHTTP1

/// How a browser's page shows its token where it opens a websocket: it may set no header there but the list of
/// subprotocols (RFC 6455, section 1.9). It asks for `volary` and, behind `volary.bearer.`, names its token; the
/// answer chooses `volary` alone. A page of another site has no token to name.
enum BrowserToken {
  private static let name = "volary"
  private static let prefix = "volary.bearer."

  /// The token that a request for a websocket names.
  static func find(in headers: HTTPFields) -> String? {
    guard headers[.secWebSocketKey] != nil else { return nil }
    return names(headers[values: .secWebSocketProtocol]).first { $0.hasPrefix(prefix) }
      .map { String($0.dropFirst(prefix.count)) }
  }

  /// What the answer that opens a websocket has to say about subprotocols.
  static func answer(to headers: HTTPHeaders) -> HTTPHeaders {
    let isNamed = names(headers["sec-websocket-protocol"]).contains(name[...])
    return isNamed ? ["Sec-WebSocket-Protocol": name] : [:]
  }

  private static func names(_ fields: [String]) -> [Substring] {
    fields.flatMap { $0.split { $0 == "," || $0 == " " } }
  }
}
