/// One thing that can be said about a resource, and why: what a person reads who asks why it is stuck.
package struct Condition: Codable, Equatable, Sendable {
  /// What it is about, in one word: `Ready`, `DiskSpace`.
  package let type: String
  /// Whether it holds.
  package let status: Bool
  /// Why, in one word for programs.
  package let reason: String
  /// Why, in one line for people.
  package let message: String
  package let since: Timestamp

  package init(type: String, status: Bool, reason: String, message: String, since: Timestamp = .now) {
    self.type = type
    self.status = status
    self.reason = reason
    self.message = message
    self.since = since
  }
}
