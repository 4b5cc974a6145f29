/// The unit by which systemd runs the daemon (systemd.service(5)).
package struct ServiceUnit: Sendable {
  package static let name = "volaryd.service"
  package static let group = "volary"
  package static let data = "/var/lib/volary"
  package static let socket = "/run/volary/volaryd.sock"

  package let kind: ServiceManager.Kind
  /// The path of volaryd.
  package let program: String

  package init(_ kind: ServiceManager.Kind, program: String) {
    self.kind = kind
    self.program = program
  }

  /// Where the unit's file belongs.
  package func path(home: String) -> String {
    switch kind {
    case .system: "/etc/systemd/system/\(Self.name)"
    case .user: "\(home)/.config/systemd/user/\(Self.name)"
    }
  }

  package var text: String {
    """
    # Made by `volaryd install`\(kind == .user ? " --user" : ""), and removed by `volaryd uninstall`.
    [Unit]
    Description=Volary, instances of this \(kind == .system ? "host" : "user")
    \(kind == .system ? "After=network.target local-fs.target\n" : "")
    [Service]
    Type=notify
    ExecStart=\(Self.quoted(program))\(arguments)
    Environment=\(ServiceManager.variable)=\(kind.rawValue)
    Restart=always
    RestartSec=1
    # Machines go on when the daemon ends; when the host does, the daemon has ended them before.
    KillMode=process
    SendSIGKILL=no
    Delegate=yes
    TasksMax=infinity
    LimitNOFILE=1048576
    TimeoutStartSec=5min
    TimeoutStopSec=10min
    \(hardening)
    [Install]
    WantedBy=\(kind == .system ? "multi-user.target" : "default.target")

    """
  }

  private var arguments: String {
    kind == .system ? " --data \(Self.data) --socket \(Self.socket) --group \(Self.group)" : ""
  }

  /// What neither the daemon nor the machines that it starts need. Not here: memory that is written and executed
  /// (translated code), devices (/dev/kvm, /dev/net/tun), namespaces (the machines' sandboxes).
  private var hardening: String {
    if kind == .user { return "NoNewPrivileges=yes\n" }
    return """
      StateDirectory=volary
      StateDirectoryMode=0700
      RuntimeDirectory=volary
      RuntimeDirectoryMode=0755
      RuntimeDirectoryPreserve=yes
      UMask=0077
      NoNewPrivileges=yes
      ProtectSystem=full
      ProtectKernelLogs=yes
      ProtectHostname=yes
      RestrictSUIDSGID=yes
      RestrictRealtime=yes
      LockPersonality=yes

      """
  }

  /// A word as systemd reads it (systemd.service(5), "Command lines").
  private static func quoted(_ path: String) -> String {
    let escaped = path.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("%", with: "%%")
      .replacing("$", with: "$$")
    return escaped.contains(where: { " ;'\"".contains($0) }) ? "\"\(escaped)\"" : escaped
  }
}
