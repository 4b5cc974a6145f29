/// Something that may take over a second, as the API shows it (Incus's api.Operation).
package struct OperationObject: Codable, Equatable, Sendable {
  package let id: String
  package let `class`: OperationClass
  package let description: String
  package let createdAt: Timestamp
  package var updatedAt: Timestamp
  package var status: String
  package var statusCode: StatusCode
  /// What it works on: kinds of resources with paths.
  package var resources: [String: [String]]
  /// `progress` while it runs (see ``Progress``), and what it gives when it has ended.
  package var metadata: [String: JSONValue]?
  package var mayCancel: Bool
  /// Why it failed; empty otherwise.
  package var err: String
  /// The HTTP status that belongs to `err`: ours beyond Incus's.
  package var errorCode: Int?
  /// The name of the member of the cluster; `none` without one.
  package let location: String
  package let project: String?

  private enum CodingKeys: String, CodingKey {
    case id, `class`, description, status, resources, metadata, err, location, project
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case statusCode = "status_code"
    case mayCancel = "may_cancel"
    case errorCode = "error_code"
  }

  package init(
    id: String, class: OperationClass, description: String, project: String?,
    resources: [String: [String]] = [:], mayCancel: Bool, createdAt: Timestamp = .now
  ) {
    self.id = id
    self.class = `class`
    self.description = description
    self.createdAt = createdAt
    updatedAt = createdAt
    status = StatusCode.running.word
    statusCode = .running
    self.resources = resources
    self.mayCancel = mayCancel
    err = ""
    location = "none"
    self.project = project
  }

  /// Where it is found.
  package var path: String { "/1.0/operations/\(id)" }

  package mutating func become(_ code: StatusCode) {
    statusCode = code
    status = code.word
    updatedAt = .now
    if code.isFinal { mayCancel = false }
  }

  /// Why it did not succeed; nil while it runs and when it did.
  package var failure: APIError? {
    switch statusCode {
    case .failure: APIError(errorCode.map { APIError.Code(status: $0) } ?? .failed, err)
    case .cancelled: APIError(.failed, err.isEmpty ? "the operation was cancelled" : err)
    default: nil
    }
  }

  /// How far it is, when it has said so.
  package var progress: Progress? {
    guard let progress = metadata?["progress"] else { return nil }
    return Progress(progress)
  }
}

/// What an operation is made of: a task, or connections that a client opens (exec, consoles), or a secret
/// to be fetched.
package enum OperationClass: String, Codable, Sendable, CaseIterable {
  case task, websocket, token
}

/// How far an operation is: `done` of `total` units in this phase. `total` is nil when nobody knows.
package struct Progress: Codable, Equatable, Sendable {
  package let phase: String
  package let done: Int64
  package let total: Int64?
  package let unit: String

  package init(phase: String, done: Int64, total: Int64?, unit: String) {
    self.phase = phase
    self.done = done
    self.total = total
    self.unit = unit
  }

  package init?(_ value: JSONValue) {
    guard let phase = value["phase"]?.string, let done = value["done"]?.integer else { return nil }
    self.init(
      phase: phase, done: done, total: value["total"]?.integer, unit: value["unit"]?.string ?? "")
  }

  package var json: JSONValue {
    var members: [String: JSONValue] = [
      "phase": .string(phase), "done": .integer(done), "unit": .string(unit),
    ]
    if let total { members["total"] = .integer(total) }
    return .object(members)
  }

  /// `Unpacking: 45%`, for clients that show a line of text.
  package var text: String {
    guard let total, total > 0 else { return done == 0 ? phase : "\(phase): \(done) \(unit)" }
    let percent = Int(100 * Double(min(max(done, 0), total)) / Double(total))
    return "\(phase): \(percent)%"
  }
}
