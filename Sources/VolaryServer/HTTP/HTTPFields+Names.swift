internal import HTTPTypes
internal import NIOHTTP1

extension HTTPField.Name {
  static let idempotencyKey = ours("Idempotency-Key")
  static let lastEventID = ours("Last-Event-ID")
  /// In requests that NIO's codec has read, the authority stands in its place.
  static let hostField = ours("Host")
  static let contentTypeOptions = ours("X-Content-Type-Options")
  static let referrerPolicy = ours("Referrer-Policy")
  static let openerPolicy = ours("Cross-Origin-Opener-Policy")
  static let resourcePolicy = ours("Cross-Origin-Resource-Policy")
  static let permissionsPolicy = ours("Permissions-Policy")

  // Of a guest's file, by Incus's names.
  static let fileType = ours("X-Incus-type")
  static let fileUser = ours("X-Incus-uid")
  static let fileGroup = ours("X-Incus-gid")
  static let fileMode = ours("X-Incus-mode")
  static let fileWrite = ours("X-Incus-write")
  static let fileSize = ours("X-Incus-size")
  static let fileModified = ours("X-Incus-modified")

  // Of a backup that comes back, by Incus's names.
  static let backupName = ours("X-Incus-name")
  static let backupPool = ours("X-Incus-pool")

  /// A name that we wrote, which is one.
  private static func ours(_ text: String) -> HTTPField.Name {
    guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is no name of a field") }
    return name
  }
}

extension HTTPFields {
  /// As NIO read them; what is no name of a field is left out.
  init(reading headers: HTTPHeaders) {
    self.init()
    for (name, value) in headers {
      if let name = HTTPField.Name(name) { append(HTTPField(name: name, value: value)) }
    }
  }
}
