package import Foundation
package import HTTPTypes
package import HummingbirdCore
package import NIOCore
package import VolaryAPI

/// An answer on its way out.
package struct Reply: Sendable {
  package enum Body: Sendable {
    case bytes(ByteBuffer)
    case stream(ResponseBody)
  }

  package var status: HTTPResponse.Status
  package var headers: HTTPFields
  package var body: Body

  package init(status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], body: Body) {
    self.status = status
    self.headers = headers
    self.body = body
  }
}

extension Reply {
  /// Bytes of some kind.
  package static func bytes(
    _ bytes: some Sequence<UInt8>, type: String, status: HTTPResponse.Status = .ok
  ) -> Reply {
    Reply(status: status, headers: [.contentType: type], body: .bytes(ByteBuffer(bytes: bytes)))
  }

  /// A synchronous answer around a value.
  static func sync(_ metadata: some Encodable) throws -> Reply {
    .json(EnvelopeWriter.sync(metadata: try APICoding.encode(metadata)))
  }

  /// A synchronous answer around bytes that are JSON already, for what is large or kept ready.
  package static func sync(json: Data) -> Reply { .json(EnvelopeWriter.sync(metadata: json)) }

  /// A synchronous answer that has nothing to say.
  static var done: Reply { .json(EnvelopeWriter.sync(metadata: Data("{}".utf8))) }

  /// Something has been made, and is found at `path`.
  static func made(_ path: String) -> Reply {
    var reply = done
    reply.status = .created
    reply.headers[.location] = path
    return reply
  }

  /// An operation has been begun.
  static func begun(_ operation: OperationObject) throws -> Reply {
    var reply = json(
      EnvelopeWriter.async(operation: operation.path, metadata: try APICoding.encode(operation)))
    reply.status = .accepted
    reply.headers[.location] = operation.path
    return reply
  }

  /// Characters of an error that are sent.
  private static let longestError = 2048

  /// Why there is no other answer. Names that others gave may stand in it: it stays one line of some length.
  package static func failed(_ error: APIError) -> Reply {
    let error = APIError(error.code, line(error.message), wayOut: error.wayOut.map(line))
    // An error is three strings and a number, which JSON always has.
    var reply = json((try? EnvelopeWriter.error(error)) ?? Data())
    let code = error.code == .unreachable ? APIError.Code.unavailable : error.code
    reply.status = HTTPResponse.Status(code: code.rawValue)
    return reply
  }

  private static func line(_ text: String) -> String {
    var scalars = String.UnicodeScalarView()
    for scalar in text.unicodeScalars.prefix(longestError) {
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: scalars.append("?")
      default: scalars.append(scalar)
      }
    }
    return String(scalars)
  }

  /// What a GET gives, with its tag; nothing when the client has it already.
  static func tagged(_ metadata: some Encodable, for call: Call) throws -> Reply {
    tagged(
      json: try APICoding.encode(metadata), replacing: try (metadata as? any Replaceable)?.replacedJSON,
      for: call)
  }

  /// As ``tagged(_:for:)``, of what is JSON already.
  static func tagged(json representation: Data, replacing part: Data? = nil, for call: Call) -> Reply {
    let tag = ETag(of: representation, replacing: part)
    var reply = sync(json: representation)
    if let known = call.headers[.ifNoneMatch], tag.matches(known) {
      reply = Reply(status: .notModified, body: .bytes(ByteBuffer()))
    }
    reply.headers[.eTag] = tag.text
    return reply
  }

  private static func json(_ data: Data) -> Reply { .bytes(data, type: "application/json") }
}
