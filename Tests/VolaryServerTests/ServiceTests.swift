import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing
import VolaryServer

/// The daemon as a service of systemd.
@Suite struct ServiceTests {
  private static var volaryd: String { "\(builtPrograms)/volaryd" }

  /// A daemon that goes on, and ends with the value.
  private static func start(
    _ arguments: [String], environment: [String: String] = [:], in folder: String? = nil
  ) throws -> ProgramRun {
    let nothing = try Descriptor.open("/dev/null", O_RDWR)
    return try ProgramRun(
      volaryd, arguments, environment: environment, in: folder, input: nothing, output: nothing,
      errors: nothing, lasts: true)
  }

  /// systemd's own tool reads the units without a remark.
  @Test(arguments: [false, true]) func systemdReadsTheUnit(isUser: Bool) throws {
    let folder = TestFolder()
    let user = isUser ? ["--user"] : []
    let program = Self.volaryd
    let made = try run("env", ["HOME=\(folder.path)/home", program, "install", "--root", folder.path] + user)
    #expect(made.code == 0, "\(made.errors)")
    let path = String(decoding: made.output, as: UTF8.self).split(separator: "\n")[0].dropFirst(
      "wrote ".count)
    #expect(path.hasPrefix(folder.path) && path.hasSuffix("volaryd.service"))
    let text = try String(contentsOfFile: String(path), encoding: .utf8)
    #expect(text.contains("Type=notify") && text.contains("KillMode=process"))
    #expect(text.contains("ProtectSystem=full") == !isUser)
    if try run("systemd-analyze", ["--version"]).code == 0 {
      let verdict = try run(
        "env", ["XDG_RUNTIME_DIR=\(folder.path)", "systemd-analyze"] + user + ["verify", String(path)])
      let words = verdict.errors.split(separator: "\n").filter { $0.contains("volaryd") }
      #expect(verdict.code == 0 && words.isEmpty, "\(verdict.errors)")
    }
    let gone = try run(
      "env", ["HOME=\(folder.path)/home", program, "uninstall", "--root", folder.path] + user)
    #expect(gone.code == 0 && !FileManager.default.fileExists(atPath: String(path)), "\(gone.errors)")
    let again = try run(
      "env", ["HOME=\(folder.path)/home", program, "uninstall", "--root", folder.path] + user)
    #expect(again.code == 4, "\(again.errors)")
  }

  @Test func saysWhatItWouldDo() throws {
    let folder = TestFolder()
    let program = Self.volaryd
    let told = try run(program, ["install", "--dry-run"])
    let words = String(decoding: told.output, as: UTF8.self)
    #expect(told.code == 0)
    for part in [
      "would write /etc/systemd/system/volaryd.service",
      "--data /var/lib/volary --socket /run/volary/volaryd.sock",
      "--group volary", "would run: systemctl daemon-reload",
      "would run: systemctl enable --now volaryd.service",
      "usermod -aG volary USER",
    ] { #expect(words.contains(part), "\(words)") }
    guard getuid() == 0 else { return }
    // The program may lie where nobody else may look.
    let copy = folder.path + "/volaryd"
    _ = try run("cp", [program, copy])
    chmod(folder.path, 0o755)
    let refused = try run("setpriv", ["--reuid", "65534", "--clear-groups", copy, "install"])
    #expect(refused.code == 6 && refused.errors.contains("sudo volaryd install"), "\(refused.errors)")
  }

  /// A daemon says when it answers, and when it ends.
  @Test(arguments: [false, true]) func tellsTheManager(isAbstract: Bool) async throws {
    let folder = TestFolder()
    let name = isAbstract ? "@volary-test-\(UUID().uuidString)" : folder.path + "/notify"
    let socket = try #require(Self.listen(name))
    defer { close(socket) }
    let daemon = try Self.start(["--data", folder.path], environment: ["NOTIFY_SOCKET": name])
    #expect(Self.receive(socket) == "READY=1")
    // It does answer then.
    let asked = try run(
      "curl", ["-sS", "--unix-socket", folder.path + "/volaryd.sock", "http://localhost/healthz"])
    #expect(String(decoding: asked.output, as: UTF8.self) == "ok\n")
    // It holds no directory of its starter's.
    let place = try FileManager.default.destinationOfSymbolicLink(
      atPath: "/proc/\(daemon.identifier)/cwd")
    #expect(place == "/")
    daemon.signal(SIGTERM)
    #expect(Self.receive(socket) == "STOPPING=1")
    #expect(await eventually { daemon.hasEnded })
  }

  /// A relative directory is one from where it was started.
  @Test func takesRelativePaths() async throws {
    let folder = TestFolder()
    let daemon = try Self.start(["--data", "here"], in: folder.path)
    #expect(await eventually { access(folder.path + "/here/volaryd.sock", F_OK) == 0 })
    withExtendedLifetime(daemon) {}
  }

  /// Members of the group come in, others do not, whatever the socket's mode lets them.
  @Test(.enabled(if: getuid() == 0 && getpwnam("games") != nil && getgrnam("games") != nil))
  func letsAGroupIn() async throws {
    let folder = TestFolder()
    let daemon = try Self.start(["--data", folder.path, "--group", "games"])
    defer { withExtendedLifetime(daemon) {} }
    let socket = folder.path + "/volaryd.sock"
    #expect(
      await eventually {
        (try? FileManager.default.attributesOfItem(atPath: socket))?[.posixPermissions] as? Int == 0o660
      })
    chmod(folder.path, 0o755)
    func status(_ user: String, _ group: String) throws -> String {
      let answer = try run(
        "setpriv",
        [
          "--reuid", user, "--regid", group, "--clear-groups", "curl", "-sS", "--unix-socket", socket, "-w",
          "%{http_code}", "-o", "/dev/null", "http://localhost/1.0/projects",
        ])
      return String(decoding: answer.output, as: UTF8.self)
    }
    #expect(try status("games", "games") == "200")
    #expect(try status("nobody", "nogroup") == "000")
    #expect(try status("nobody", "games") == "403")
    let wrong = try run(
      Self.volaryd,
      ["--data", folder.path + "/other", "--group", "no-such-group"])
    #expect(wrong.code == 1 && wrong.errors.contains("no-such-group"), "\(wrong.errors)")
  }

  // MARK: - The manager's end

  private static func listen(_ name: String) -> Int32? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = name.hasPrefix("@") ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let result = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    return result == 0 ? descriptor : nil
  }

  private static func receive(_ socket: Int32) -> String? {
    var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, 60_000) == 1 else { return nil }
    var buffer = [UInt8](repeating: 0, count: 1000)
    let count = recv(socket, &buffer, buffer.count, 0)
    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
  }
}
