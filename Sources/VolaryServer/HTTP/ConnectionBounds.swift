internal import Glibc
internal import NIOCore
internal import Synchronization

/// How many connections each may have, so that nobody takes them all.
final class ConnectionBounds: Sendable {
  /// Of one user of the host, or from one address: more than pages, monitors and commands of one need.
  static let most = 512

  private let counts = Mutex<[String: Int]>([:])

  /// Counts one more, unless there are too many; each that is admitted has to ``leave(_:)``.
  func admit(_ origin: String) -> Bool {
    counts.withLock { counts in
      let count = counts[origin, default: 0]
      if count >= Self.most { return false }
      counts[origin] = count + 1
      return true
    }
  }

  func leave(_ origin: String) {
    counts.withLock { counts in
      let count = counts[origin, default: 0] - 1
      counts[origin] = count > 0 ? count : nil
    }
  }

  /// What connections from an address are counted under. Of IPv6 it is the network of 64 bits, since one host may have
  /// all addresses there.
  static func origin(of address: SocketAddress?) -> String {
    guard case .v6(let address)? = address else { return address?.ipAddress ?? "unknown" }
    let bytes = withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
    // An IPv4 address (RFC 4291, section 2.5.5.2).
    let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
    return (isMapped ? bytes[...] : bytes.prefix(8)).hexadecimal
  }
}
