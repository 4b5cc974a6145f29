package import Foundation

/// What every answer of the API is wrapped in (Incus's doc/rest-api.md, "Return values"), as a client reads it.
package struct Envelope<Metadata: Decodable & Sendable>: Decodable, Sendable {
  package let type: EnvelopeType
  package let status: String?
  package let statusCode: Int?
  /// Where the operation is that was begun; empty for synchronous answers.
  package let operation: String?
  package let errorCode: Int?
  package let error: String?
  package let metadata: Metadata?

  private enum CodingKeys: String, CodingKey {
    case type, status, operation, error, metadata
    case statusCode = "status_code"
    case errorCode = "error_code"
  }
}

/// The three kinds of answers.
package enum EnvelopeType: String, Codable, Sendable, CaseIterable {
  case sync, async, error
}

/// Envelopes as the daemon writes them, around metadata that are JSON already.
package enum EnvelopeWriter {
  package static func sync(metadata: Data) -> Data {
    wrap(
      #"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"""#,
      metadata)
  }

  /// `operation` is the path of the operation, which needs no escapes.
  package static func async(operation: String, metadata: Data) -> Data {
    wrap(
      #"{"type":"async","status":"Operation created","status_code":100,"operation":"\#(operation)","#
        + #""error_code":0,"error":"""#, metadata)
  }

  package static func error(_ error: APIError) throws -> Data {
    try APICoding.encode(ErrorEnvelope(error))
  }

  private static func wrap(_ head: String, _ metadata: Data) -> Data {
    var data = Data(capacity: head.utf8.count + metadata.count + 16)
    data.append(contentsOf: head.utf8)
    data.append(contentsOf: #","metadata":"#.utf8)
    data.append(metadata)
    data.append(UInt8(ascii: "}"))
    return data
  }
}

/// An answer that says why there is no other.
package struct ErrorEnvelope: Codable, Sendable {
  /// Ours beyond Incus's: a word for programs, and what to do.
  package struct Details: Codable, Sendable {
    package let reason: String
    package let wayOut: String?

    private enum CodingKeys: String, CodingKey {
      case reason
      case wayOut = "way_out"
    }
  }

  package let type: EnvelopeType
  package let error: String
  package let errorCode: Int
  package let metadata: Details?

  private enum CodingKeys: String, CodingKey {
    case type, error, metadata
    case errorCode = "error_code"
  }

  package init(_ error: APIError) {
    type = .error
    self.error = error.message
    errorCode = error.code.rawValue
    metadata = Details(reason: error.code.word, wayOut: error.wayOut)
  }

  package var apiError: APIError {
    APIError(APIError.Code(status: errorCode), error, wayOut: metadata?.wayOut)
  }
}
