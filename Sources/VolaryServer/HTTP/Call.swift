internal import Foundation
package import HTTPTypes
package import NIOCore
package import VolaryAPI

/// One request, after it has found its route and its right has been checked.
package struct Call: Sendable {
  /// Nil only on routes for anyone.
  package let identity: Identity?
  package let method: Route.Method
  /// Whether only the answer's head is wanted.
  package let isHead: Bool
  /// Without the query.
  package let path: String
  /// The values of the braces in the route's path, without percent signs.
  package let parameters: [String: String]
  package let query: QueryValues
  package let headers: HTTPFields
  package internal(set) var body: ByteBuffer
  package let peer: Peer

  /// A value of the route's path. Empty when the route has no such braces, which is a mistake of the route.
  package subscript(_ name: String) -> String { parameters[name] ?? "" }

  /// The project that the request is about.
  package var project: String { query["project"] ?? ProjectRecord.default }

  /// Who asks, on routes that need a right.
  package func requireIdentity() throws(APIError) -> Identity {
    guard let identity else { throw .denied("the daemon does not know you") }
    return identity
  }

  /// Throws unless If-Match, when it is there, names what is to be replaced as it is now (RFC 9110, section 13.1.1).
  /// `current` is what a GET of the same path gives.
  func checkMatch(_ current: some Replaceable) throws {
    guard let wanted = headers[.ifMatch] else { return }
    if !ETag.names(part: try current.replacedJSON, in: wanted) {
      throw APIError(
        .preconditionFailed, "it was changed meanwhile", wayOut: "read it again and repeat the change")
    }
  }
}
