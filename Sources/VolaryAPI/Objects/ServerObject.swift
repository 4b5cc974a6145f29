/// The daemon and its host, as `GET /1.0` shows them (Incus's api.Server).
package struct ServerObject: Codable, Equatable, Sendable {
  /// Names of what goes beyond version 1.0 of the API.
  package let apiExtensions: [String]
  package let apiStatus: String
  package let apiVersion: String
  /// `trusted` or `untrusted`.
  package let auth: String
  package let authMethods: [String]
  package let authUserName: String?
  package let authUserMethod: String?
  /// Whether the daemon only serves images to everyone. It does not.
  package let `public`: Bool
  /// Only for those who are trusted.
  package let environment: Environment?
  package let config: [String: String]?

  private enum CodingKeys: String, CodingKey {
    case auth, `public`, environment, config
    case apiExtensions = "api_extensions"
    case apiStatus = "api_status"
    case apiVersion = "api_version"
    case authMethods = "auth_methods"
    case authUserName = "auth_user_name"
    case authUserMethod = "auth_user_method"
  }

  package init(
    apiExtensions: [String], trusted: Bool, userName: String?, userMethod: String?,
    environment: Environment?, config: [String: String]?
  ) {
    self.apiExtensions = apiExtensions
    apiStatus = "stable"
    apiVersion = "1.0"
    auth = trusted ? "trusted" : "untrusted"
    authMethods = ["tls"]
    authUserName = userName
    authUserMethod = userMethod
    `public` = false
    self.environment = environment
    self.config = config
  }

  /// What the daemon runs on.
  package struct Environment: Codable, Equatable, Sendable {
    package let addresses: [String]
    package let architectures: [String]
    package let certificate: String
    package let certificateFingerprint: String
    /// How instances are run.
    package let driver: String
    package let driverVersion: String
    package let firewall: String
    package let kernel: String
    package let kernelArchitecture: String
    package let kernelVersion: String
    package let osName: String
    package let osVersion: String
    package let project: String
    package let server: String
    package let serverClustered: Bool
    package let serverEventMode: String
    package let serverName: String
    package let serverPid: Int
    package let serverVersion: String
    package let storage: String
    package let storageVersion: String

    private enum CodingKeys: String, CodingKey {
      case addresses, architectures, certificate, driver, firewall, kernel, project, server, storage
      case certificateFingerprint = "certificate_fingerprint"
      case driverVersion = "driver_version"
      case kernelArchitecture = "kernel_architecture"
      case kernelVersion = "kernel_version"
      case osName = "os_name"
      case osVersion = "os_version"
      case serverClustered = "server_clustered"
      case serverEventMode = "server_event_mode"
      case serverName = "server_name"
      case serverPid = "server_pid"
      case serverVersion = "server_version"
      case storageVersion = "storage_version"
    }

    package init(
      addresses: [String], architectures: [String], certificate: String, certificateFingerprint: String,
      driver: String, driverVersion: String, firewall: String, kernel: String, kernelArchitecture: String,
      kernelVersion: String, osName: String, osVersion: String, project: String, server: String,
      serverName: String, serverPid: Int, serverVersion: String, storage: String, storageVersion: String
    ) {
      self.addresses = addresses
      self.architectures = architectures
      self.certificate = certificate
      self.certificateFingerprint = certificateFingerprint
      self.driver = driver
      self.driverVersion = driverVersion
      self.firewall = firewall
      self.kernel = kernel
      self.kernelArchitecture = kernelArchitecture
      self.kernelVersion = kernelVersion
      self.osName = osName
      self.osVersion = osVersion
      self.project = project
      self.server = server
      serverClustered = false
      serverEventMode = "full-mesh"
      self.serverName = serverName
      self.serverPid = serverPid
      self.serverVersion = serverVersion
      self.storage = storage
      self.storageVersion = storageVersion
    }
  }
}
