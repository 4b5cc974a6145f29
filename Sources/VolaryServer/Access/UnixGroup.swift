internal import Glibc
internal import Synchronization
internal import VolaryAPI

/// A group of the host's users, whose members may use the daemon.
final class UnixGroup: Sendable {
  /// For how long what the host says of a user holds: it may have to ask elsewhere.
  private static let memory: Duration = .seconds(30)
  private static let mostRemembered = 1000

  let identifier: UInt32
  private let remembered = Mutex<[UInt32: (at: ContinuousClock.Instant, isMember: Bool)]>([:])

  /// Throws when the host has no group of that name.
  init(named name: String) throws(APIError) {
    guard let entry = getgrnam(name) else {
      throw .notFound("the host has no group `\(name)`", wayOut: "groupadd --system \(name)")
    }
    identifier = entry.pointee.gr_gid
  }

  func contains(user: UInt32) -> Bool {
    if let known = remembered.withLock({ $0[user] }), known.at + Self.memory > .now { return known.isMember }
    let isMember = look(user)
    remembered.withLock { remembered in
      if remembered.count >= Self.mostRemembered { remembered = [:] }
      remembered[user] = (.now, isMember)
    }
    return isMember
  }

  /// The user's own group and those that list the user (getgrouplist(3)).
  private func look(_ user: UInt32) -> Bool {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16 << 10)
    guard getpwuid_r(user, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name
    else { return false }
    var count: Int32 = 1024
    var groups = [gid_t](repeating: 0, count: Int(count))
    guard getgrouplist(name, entry.pw_gid, &groups, &count) >= 0 else { return false }
    return groups.prefix(Int(max(0, count))).contains(identifier)
  }
}
