package import HostSystem
package import MachineControl

/// Why a machine's NAT cannot start. The description is one line and names the way out.
package enum NATError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another program listens on the host's side of a published port.
  case portInUse(PublishedPort)
  case cannotPublish(PublishedPort, Errno)
  case badConfiguration(String)
  /// The arguments of volary-nat are wrong.
  case usage(String)
  case system(String, Errno)

  package var description: String {
    switch self {
    case .portInUse(let port):
      "port \(port.hostPort) of \(port.hostAddress) (\(port.transport.rawValue)) is in use: "
        + "publish another port, or stop the program that has it"
    case .cannotPublish(let port, .accessDenied):
      "cannot publish \(port.hostEndpoint): ports below 1024 need more rights; publish another port"
    case .cannotPublish(let port, .addressNotAvailable):
      "cannot publish \(port.hostEndpoint): this host has no such address"
    case .cannotPublish(let port, let error): "cannot publish \(port.hostEndpoint): \(error)"
    case .badConfiguration(let reason): reason
    case .usage(let reason): reason
    case .system(let operation, let error): "cannot \(operation): \(error)"
    }
  }

  /// The exit code of volary-nat: 5 for a conflict, 6 for want of rights, 2 for wrong usage, 1 for the rest.
  package var exitCode: Int32 {
    switch self {
    case .portInUse: 5
    case .cannotPublish(_, .accessDenied): 6
    case .usage, .badConfiguration: 2
    case .cannotPublish, .system: 1
    }
  }
}
