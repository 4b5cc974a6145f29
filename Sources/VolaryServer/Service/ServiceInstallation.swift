internal import Foundation
internal import Glibc
package import VolaryAPI

/// Makes the daemon a service of the host's systemd, or takes that back. Each step is said when it is done.
package struct ServiceInstallation {
  private let unit: ServiceUnit
  /// Below which the file is put, for packages that are made elsewhere; no program is run then.
  private let root: String?
  private let isDryRun: Bool
  private let say: (String) -> Void

  package init(
    _ kind: ServiceManager.Kind, root: String? = nil, isDryRun: Bool = false,
    say: @escaping (String) -> Void = { print($0) }
  ) {
    let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "volaryd"
    unit = ServiceUnit(kind, program: program)
    self.root = root
    self.isDryRun = isDryRun
    self.say = say
  }

  private var path: String { (root ?? "") + unit.path(home: NSHomeDirectory()) }
  private var control: [String] { ["systemctl"] + (unit.kind == .user ? ["--user"] : []) }

  package func install() throws(APIError) {
    try checkRights("install")
    if unit.kind == .system { try makeGroup() }
    if isDryRun {
      say("would write \(path):\n\n\(unit.text)")
    } else {
      try write()
      say("wrote \(path)")
    }
    try run(control + ["daemon-reload"])
    try run(control + ["enable", "--now", ServiceUnit.name])
    if root != nil { return }
    switch unit.kind {
    case .system:
      say(
        """
        The daemon keeps its files in \(ServiceUnit.data) and listens at \(ServiceUnit.socket).
        Members of the group \(ServiceUnit.group) may use it, and are as mighty as root by that: \
        usermod -aG \(ServiceUnit.group) USER
        """)
    case .user:
      say("It ends with your last session, unless lingering is on: loginctl enable-linger")
    }
  }

  package func uninstall() throws(APIError) {
    try checkRights("uninstall")
    guard access(path, F_OK) == 0 else {
      throw APIError.notFound("there is no \(path): the daemon is no service here")
    }
    try run(control + ["disable", "--now", ServiceUnit.name])
    if isDryRun {
      say("would remove \(path)")
    } else {
      guard unlink(path) == 0 else {
        throw APIError(.denied, "\(path) cannot be removed: \(String(cString: strerror(errno)))")
      }
      say("removed \(path)")
    }
    try run(control + ["daemon-reload"])
    if unit.kind == .system, root == nil {
      say(
        "Instances, their data in \(ServiceUnit.data) and the group \(ServiceUnit.group) stay; machines go on."
      )
    }
  }

  // MARK: - Steps

  private func checkRights(_ verb: String) throws(APIError) {
    if isDryRun || root != nil { return }
    if unit.kind == .system, geteuid() != 0 {
      throw APIError(
        .denied, "only root makes services of the host",
        wayOut: "sudo volaryd \(verb); or volaryd \(verb) --user")
    }
    // sd_booted(3).
    guard access("/run/systemd/system", F_OK) == 0 else {
      let command =
        unit.kind == .user
        ? unit.program : "\(unit.program) --data \(ServiceUnit.data) --socket \(ServiceUnit.socket)"
      throw APIError(
        .unprocessable, "systemd does not run this host",
        wayOut: "have what does run: \(command); `volaryd \(verb) --dry-run` shows what it would be")
    }
  }

  private func makeGroup() throws(APIError) {
    if root != nil || getgrnam(ServiceUnit.group) != nil { return }
    try run(["groupadd", "--system", ServiceUnit.group])
  }

  private func write() throws(APIError) {
    do {
      let folder = (path as NSString).deletingLastPathComponent
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try unit.text.write(toFile: path, atomically: true, encoding: .utf8)
      // For systemctl's other users to read.
      chmod(path, 0o644)
    } catch { throw APIError(.denied, "\(path) cannot be written: \(error.localizedDescription)") }
  }

  private func run(_ words: [String]) throws(APIError) {
    let command = words.joined(separator: " ")
    if isDryRun || root != nil {
      if isDryRun { say("would run: \(command)") }
      return
    }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = words
    do { try process.run() } catch { throw APIError(.failed, "\(command) cannot be run: \(error)") }
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw APIError(
        .failed, "`\(command)` ended with \(process.terminationStatus)",
        wayOut: "journalctl -u \(ServiceUnit.name) may say why")
    }
    say("ran \(command)")
  }
}
