internal import HostSystem

/// How a server is reached.
enum NBDWay: Sendable {
  /// By sockets that are connected: the one that was handed over, if any, and then those that somebody gets.
  case sockets(first: Descriptor?, again: NBDImage.Connect?)
  /// By TLS, for which libnbd connects itself, so that the certificate has to be for that name.
  case tls(host: String, port: UInt16, certificates: String?)
}
