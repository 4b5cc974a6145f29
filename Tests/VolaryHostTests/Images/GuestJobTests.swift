import Foundation
import Glibc
import HostPrograms
import Testing
import VolaryHost

/// The job as the guest's own script reads it, run by shells of the host.
struct GuestJobTests {
  /// busybox's shell is the guest's; dash has no part in common with it.
  static let shells = [["dash"], ["busybox", "sh"]].filter { hasProgram($0[0]) }

  /// The words that the script would run, and its variables.
  private func decode(_ job: GuestJob, with shell: [String]) throws -> (words: [Data], variables: [String]) {
    let folder = try TemporaryFolder()
    let file = folder.url.appendingPathComponent("job")
    try Data(job.encoded()).write(to: file)
    let script = """
      VOLARY_INIT_FUNCTIONS=yes
      . \(guestFolder.path)/machine-init
      run_job() {
        printf '%s\\0' "$mode" "$term" "$columns" "$rows" "$hostname" "$cwd" "$arguments"
        for word in "$@"; do printf '%s\\0' "$word"; done
      }
      with_job <\(file.path)
      """
    let scriptFile = folder.url.appendingPathComponent("script")
    try Data(script.utf8).write(to: scriptFile)
    let output = try run(shell[0], Array(shell.dropFirst()) + [scriptFile.path])
    let fields = output.split(separator: 0, omittingEmptySubsequences: false).dropLast().map { Data($0) }
    return (Array(fields.dropFirst(7)), fields.prefix(7).map { String(decoding: $0, as: UTF8.self) })
  }

  @Test(arguments: shells) func everyByteSurvives(shell: [String]) throws {
    var job = GuestJob(mode: .pipe)
    job.arguments = [Array(1...255), Array(1...255) + Array("1\n\n".utf8), [], Array("-n".utf8)]
    job.arguments += (1...255).map { [$0] }
    let (words, variables) = try decode(job, with: shell)
    #expect(words == job.arguments.map { Data($0) })
    #expect(variables[0] == "pipe")
    #expect(variables[6] == "259")
  }

  @Test(arguments: shells) func everyFieldArrives(shell: [String]) throws {
    var job = GuestJob(mode: .tty, arguments: ["printf", "%s\n", "a b", "*", "$HOME", "\\n", "'\"", "ä€😀"])
    job.environment = [Array("NAME=two words = \\0040".utf8), Array("EMPTY=".utf8)]
    job.terminal = "xterm-256color"
    job.columns = 132
    job.rows = 43
    job.hostname = "cage"
    job.workingDirectory = "/srv/with blank\n"
    let (words, variables) = try decode(job, with: shell)
    #expect(words == job.environment.map { Data($0) } + job.arguments.map { Data($0) })
    #expect(variables == ["tty", "xterm-256color", "132", "43", "cage", "/srv/with blank\n", "8"])
  }

  @Test(arguments: shells) func emptyJobIsALoginShell(shell: [String]) throws {
    let (words, variables) = try decode(GuestJob(mode: .tty), with: shell)
    #expect(words.isEmpty)
    #expect(variables == ["tty", "linux", "", "", "volary", "/root", "0"])
  }

  /// The guest's own functions, on files of the host's, by the busybox that the guest has too.
  @Test(.enabled(if: hasProgram("busybox"), "busybox is not installed"))
  func keysAreAuthorizedOnce() throws {
    let folder = try TemporaryFolder()
    let root = folder.url.path
    let key = "ssh-ed25519 \(Data(repeating: 7, count: 51).base64EncodedString()) it's \\ mine"
    var job = GuestJob(mode: .serve)
    job.keys = try ["me:\(key)", "you:\(key)", "me:\(key)2", "nobody-here:\(key)"].map {
      try #require(CloudInit.Key($0))
    }
    try Data(job.encoded()).write(to: folder.url.appendingPathComponent("job"))
    let script = try String(contentsOf: guestFolder.appendingPathComponent("machine-init"), encoding: .utf8)
      .replacingOccurrences(of: "b=/usr/lib/volary/busybox", with: "b=busybox")
      .replacingOccurrences(of: "</etc/passwd", with: "<\(root)/passwd")
      .replacingOccurrences(of: "/usr/bin/cloud-init", with: "\(root)/cloud-init")
    try Data(script.utf8).write(to: folder.url.appendingPathComponent("functions"))
    try Data(
      "me:x:\(getuid()):\(getgid()):Me:\(root)/me:/bin/sh\nyou:x:\(getuid()):\(getgid())::\(root)/you:/bin/sh\n"
        .utf8
    )
    .write(to: folder.url.appendingPathComponent("passwd"))
    for home in ["me", "you", "elsewhere"] {
      try FileManager.default.createDirectory(atPath: "\(root)/\(home)", withIntermediateDirectories: false)
    }
    try FileManager.default.createSymbolicLink(
      atPath: "\(root)/you/.ssh", withDestinationPath: "\(root)/elsewhere")
    let twice =
      "VOLARY_INIT_FUNCTIONS=yes; . \(root)/functions; run_job() { :; }; with_job <\(root)/job; with_job <\(root)/job"
    _ = try run("busybox", ["sh", "-c", twice])
    let file = "\(root)/me/.ssh/authorized_keys"
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "\(key)\n\(key)2\n")
    let permissions = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
    #expect(permissions == 0o600)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(root)/elsewhere").isEmpty)
    // Where cloud-init is, it does this.
    try Data().write(to: folder.url.appendingPathComponent("cloud-init"))
    chmod("\(root)/cloud-init", 0o755)
    try FileManager.default.removeItem(atPath: "\(root)/me/.ssh")
    _ = try run("busybox", ["sh", "-c", twice])
    #expect(!FileManager.default.fileExists(atPath: "\(root)/me/.ssh"))
  }

  @Test(
    .enabled(if: hasProgram("busybox"), "busybox is not installed"),
    arguments: [
      ("volary", "", "web", "web"), ("", "", "web", "web"), ("web", "web", "new", "new"),
      ("own", "web", "new", "own"),
      ("own", "", "web", "own"), ("web", "web", "web", "web"),
    ])
  func hostsNameIsKeptUnlessChosenInTheGuest(old: String, last: String, name: String, kept: String) throws {
    let folder = try TemporaryFolder()
    let root = folder.url.path
    let script = try String(contentsOf: guestFolder.appendingPathComponent("machine-init"), encoding: .utf8)
      .replacingOccurrences(of: "b=/usr/lib/volary/busybox", with: "b=busybox")
      .replacingOccurrences(of: "/etc/hostname", with: "\(root)/hostname")
      .replacingOccurrences(of: "/usr/lib/volary/hostname", with: "\(root)/last")
    try Data(script.utf8).write(to: folder.url.appendingPathComponent("functions"))
    if !old.isEmpty { try Data("\(old)\n".utf8).write(to: folder.url.appendingPathComponent("hostname")) }
    if !last.isEmpty { try Data("\(last)\n".utf8).write(to: folder.url.appendingPathComponent("last")) }
    _ = try run(
      "busybox", ["sh", "-c", "VOLARY_INIT_FUNCTIONS=yes; . \(root)/functions; hostname=\(name); keep_name"])
    #expect(try String(contentsOfFile: "\(root)/hostname", encoding: .utf8) == "\(kept)\n")
  }

  @Test func zeroByteIsRefused() {
    var job = GuestJob(mode: .pipe)
    job.arguments = [[65, 0, 66]]
    #expect(throws: ImageError.self) { try job.encoded() }
  }

  @Test func jobFollowsTheImagesInitrd() throws {
    let folder = try TemporaryFolder()
    let initrd = folder.url.appendingPathComponent("initrd")
    var first = CpioArchive()
    first.addFile("init", Array("#!/bin/sh\n".utf8), mode: 0o755)
    first.finish()
    // An odd length, as a file of another maker could have.
    try Data(first.bytes + [0]).write(to: initrd)
    let combined = folder.url.appendingPathComponent("combined")
    try GuestJob(mode: .configure).write(initrd: initrd, to: combined)
    let bytes = try Data(contentsOf: combined)
    let second = bytes.dropFirst(first.bytes.count + 4)
    let listing = try run("cpio", ["-it", "--quiet"], input: Data(second))
    #expect(String(decoding: listing, as: UTF8.self) == "volary\nvolary/job\n")
  }

  @Test(arguments: ["machine-init", "initramfs-init", "configure-packages", "unpack-root"])
  func scriptsParse(name: String) throws {
    for shell in Self.shells {
      _ = try run(
        shell[0], Array(shell.dropFirst()) + ["-n", guestFolder.appendingPathComponent(name).path])
    }
  }
}
