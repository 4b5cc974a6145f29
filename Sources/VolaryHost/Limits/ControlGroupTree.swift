internal import Foundation
internal import Glibc
internal import HostSystem

/// Where the daemon may make groups for its machines: a branch of the unified hierarchy that is its own.
///
/// That is the group in which a service manager started the daemon, if it says that it is delegated (systemd's
/// `Delegate=yes`), and for root, whom nobody started so, one beneath the hierarchy's root.
package struct ControlGroupTree: Equatable, Sendable {
  /// Of the groups of machines, each named by its instance's id.
  package let path: String
  package let controllers: Set<ControlGroup.Controller>

  /// Why there are no groups, in words for people.
  package struct Absence: Error, Equatable, Sendable {
    package let reason: String
  }

  /// What of the host decides; another host's in tests.
  package struct Host: Sendable {
    /// The text of /proc/self/mountinfo.
    package var mounts: String
    /// The text of /proc/self/cgroup.
    package var groups: String
    package var user: UInt32

    package init(mounts: String, groups: String, user: UInt32) {
      self.mounts = mounts
      self.groups = groups
      self.user = user
    }

    package static var own: Host {
      func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
      return Host(mounts: text("/proc/self/mountinfo"), groups: text("/proc/self/cgroup"), user: geteuid())
    }
  }

  package init(path: String, controllers: Set<ControlGroup.Controller>) {
    self.path = path
    self.controllers = controllers
  }

  package func group(_ id: String) -> ControlGroup {
    ControlGroup(path: "\(path)/\(id)", controllers: controllers)
  }

  /// Groups that are there, by their ids.
  package var groups: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter {
      UUID(uuidString: $0) != nil
    }
  }

  /// The controllers that are missing here, with what that means.
  package var missing: [ControlGroup.Controller] {
    ControlGroup.Controller.allCases.filter { !controllers.contains($0) }
  }

  // MARK: - Finding it

  /// Where the branch would begin, and whether the daemon itself is in its way.
  package struct Base: Equatable, Sendable {
    package let path: String
    /// A group with processes of its own cannot have controllers beneath it, but for the hierarchy's root.
    package let holdsDaemon: Bool

    package init(path: String, holdsDaemon: Bool) {
      self.path = path
      self.holdsDaemon = holdsDaemon
    }
  }

  /// Finds where the branch may begin. Changes nothing.
  package static func base(_ host: Host = .own) throws(Absence) -> Base {
    guard let mount = mountPoint(host.mounts) else { throw Absence(reason: "cgroup v2 is mounted nowhere") }
    let own = host.groups.split(separator: "\n").first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) }
    if let own, own != "/", isDelegated("\(mount)\(own)", to: host.user) {
      // A daemon that was here before has moved us aside already.
      let isLeaf = own.hasSuffix("/\(daemonLeaf)")
      return Base(
        path: isLeaf ? "\(mount)\(own.dropLast(daemonLeaf.count + 1))" : "\(mount)\(own)",
        holdsDaemon: !isLeaf)
    }
    guard host.user == 0 else {
      throw Absence(reason: "the daemon's cgroup is not delegated to it (systemd: Delegate=yes)")
    }
    return Base(path: mount, holdsDaemon: false)
  }

  private static let daemonLeaf = "daemon"

  /// Makes the branch, with every controller that the kernel has here.
  package static func prepare(_ host: Host = .own) throws(Absence) -> ControlGroupTree {
    let base = try base(host)
    if controllers(in: "\(base.path)/cgroup.controllers").isEmpty {
      throw Absence(reason: "this host's cgroup v2 has no controllers (cgroup v1 may have them)")
    }
    if base.holdsDaemon { moveAside(base.path) }
    enable(in: base.path)
    let path = "\(base.path)/volary"
    if mkdir(path, 0o755) != 0, errno != EEXIST {
      throw Absence(reason: "the daemon may not make a cgroup at \(path): \(Errno(errno))")
    }
    enable(in: path)
    return ControlGroupTree(path: path, controllers: controllers(in: "\(path)/cgroup.subtree_control"))
  }

  /// The daemon's own processes go into a leaf.
  private static func moveAside(_ path: String) {
    let leaf = "\(path)/\(daemonLeaf)"
    mkdir(leaf, 0o755)
    for process in text("\(path)/cgroup.procs").split(separator: "\n") {
      try? ControlGroup.write(String(process), to: "\(leaf)/cgroup.procs")
    }
  }

  /// One by one, so that one that is refused does not keep the others away.
  private static func enable(in path: String) {
    let there = controllers(in: "\(path)/cgroup.controllers")
    for controller in there.subtracting(controllers(in: "\(path)/cgroup.subtree_control")) {
      try? ControlGroup.write("+\(controller.rawValue)", to: "\(path)/cgroup.subtree_control")
    }
  }

  private static func controllers(in file: String) -> Set<ControlGroup.Controller> {
    Set(text(file).split(whereSeparator: \.isWhitespace).compactMap { .init(rawValue: String($0)) })
  }

  /// The controllers that the hierarchy has for a branch, made or not.
  package static func available(_ host: Host = .own) throws(Absence) -> Set<ControlGroup.Controller> {
    controllers(in: "\(try base(host).path)/cgroup.controllers")
  }

  /// Of the unified hierarchy (proc(5), mountinfo: the type follows a lone hyphen).
  private static func mountPoint(_ mounts: String) -> String? {
    for line in mounts.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard let hyphen = words.firstIndex(of: "-"), hyphen + 1 < words.count, words[hyphen + 1] == "cgroup2",
        words.count > 4
      else { continue }
      return String(words[4])
    }
    return nil
  }

  /// A service manager marks what it has delegated, and gives a user what is a user's.
  private static func isDelegated(_ path: String, to user: UInt32) -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { return false }
    if user != 0 { return status.st_uid == user }
    return ["trusted.delegate", "user.delegate"].contains {
      ExtendedAttribute.value($0, of: path) == [UInt8(ascii: "1")]
    }
  }

  private static func text(_ path: String) -> String {
    (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  }
}
