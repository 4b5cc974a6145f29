internal import Glibc
internal import HostSystem

extension Errno {
  static let accessDenied = Errno(EACCES)
  static let addressInUse = Errno(EADDRINUSE)
  static let addressNotAvailable = Errno(EADDRNOTAVAIL)
}
