import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// An ordinary user, who has no rights, no home and no images of his own. Root plays him; without root
  /// all the other tests are an ordinary user's.
  @Suite(.serialized, .runsPrograms, .enabled(if: Nobody.canBePlayed, "only root can play another user"))
  struct UnprivilegedTests {
    let nobody: Nobody

    init() throws { nobody = try Nobody() }

    func check(_ run: Nobody.Run, _ code: Int32, _ words: String...) throws {
      let outcome = try run.program.finish(within: 200)
      #expect(outcome.code == code)
      let lines = outcome.errors.split(separator: "\n")
      #expect(lines.count == 1 && lines[0].hasPrefix("volary: "), "\(outcome.errors)")
      for word in words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
      #expect(try run.leftovers.isEmpty)
    }

    @Test(.boots, .enabled(if: Nobody.canReadImage, "the image is not for everybody to read"))
    func runsMachines() throws {
      let (socket, port) = try Loopback.listen()
      _ = consume socket
      let run = try nobody.volary(
        [
          "run", "--arch", "riscv64", Bench.imageName, "--publish", "\(port):80", "--", "sh", "-c",
          "id -u; cat /sys/class/net/eth0/operstate; exit 5",
        ], data: Bench.data)
      let outcome = try run.program.finish(within: 200)
      #expect(outcome.code == 5)
      #expect(outcome.output.hasPrefix("0\n"), "\(outcome.errors)")
      #expect(outcome.errors == "")
      #expect(try run.leftovers.isEmpty)
    }

    @Test func doctorExamines() throws {
      let run = try nobody.volary(["doctor"], data: nobody.folder.path)
      let outcome = try run.program.finish(within: 200)
      #expect(outcome.output.contains("volary-machine") && outcome.output.contains("kvm"))
      #expect(outcome.code == (outcome.output.contains("\nmissing") ? 1 : 0))
      #expect(outcome.errors == "")
    }

    @Test func doctorTellsOfAFolderThatCannotBeWritten() throws {
      let run = try nobody.volary(["doctor"], data: nil)
      let outcome = try run.program.finish(within: 200)
      #expect(outcome.code == 1)
      #expect(outcome.output.contains("may not be written by this user"), "\(outcome.output)")
    }

    @Test func ownStoreIsEmptyAtFirst() throws {
      let data = "\(nobody.folder.path)/data"
      let run = try nobody.volary(["image", "list", "--quiet"], data: data)
      let outcome = try run.program.finish(within: 200)
      #expect(outcome.code == 0 && outcome.output == "" && outcome.errors == "")
      try check(nobody.volary(["run", "debian/13"], data: data), 4, "volary image build debian/13")
      #expect(nobody.folder.content.allSatisfy { $0 != "data" }, "asking makes nothing")
    }

    @Test(arguments: [["image", "list"], ["run", "debian/13"]])
    func storeOfAnotherIsDenied(_ arguments: [String]) throws {
      let secret = TestFolder()
      try FileManager.default.createDirectory(
        atPath: "\(secret.path)/images", withIntermediateDirectories: true)
      try #require(chmod(secret.path, 0o700) == 0)
      try check(nobody.volary(arguments, data: secret.path), 6, secret.path, "VOLARY_DATA")
    }

    @Test func storeThatCannotBeMadeIsDenied() throws {
      let kernel = try nobody.folder.file(
        "Image", [UInt8](repeating: 0, count: 48) + Array("RISCV\0\0\0RSC\u{5}".utf8) + [0, 0, 0, 0])
      try #require(chmod(nobody.folder.path, 0o755) == 0)
      try check(
        nobody.volary(["image", "import", "own", "--kernel", kernel], data: nil), 6, "/nonexistent",
        "VOLARY_DATA")
    }

    @Test func filesOfAnotherAreDenied() throws {
      let secret = try nobody.folder.file("secret", [UInt8](repeating: 0, count: 512))
      try #require(chmod(secret, 0o600) == 0)
      try check(
        nobody.volary(["run", "--kernel", secret], data: nil), 6, secret, "Permission denied", "ls -l")
      try check(
        nobody.volary(["run", "--kernel", "/bin/true", "--disk-image", secret], data: nil), 6, secret, "ls -l"
      )
    }

    @Test func placesForRootAreDenied() throws {
      let kernel = ["run", "--kernel", "/bin/true"]
      try check(nobody.volary(kernel + ["--publish", "1:80"], data: nil), 6, "below 1024", "another port")
      let image = TestFolder()
      try #require(chmod(image.path, 0o755) == 0)
      let run = try nobody.volary(
        ["run", "--arch", "riscv64", Bench.imageName], data: Bench.data, temporary: image.path)
      if Bench.hasImage && Nobody.canReadImage { try check(run, 6, image.path, "TMPDIR") }
    }
  }
}

/// The user that owns nothing, with the programs where he can run them.
final class Nobody {
  /// The program and what it should not leave behind.
  struct Run {
    let program: ProgramRun
    fileprivate let token: String
    fileprivate let temporary: TestFolder

    var leftovers: [String] {
      get throws {
        var found: [String] = []
        _ = Bench.eventually {
          found = Bench.processes(withToken: token).map { "process \($0)" } + temporary.content
          return found.isEmpty
        }
        return found
      }
    }
  }

  private static let setpriv = "/usr/bin/setpriv"
  private static let user: UInt32 = 65_534
  static let canBePlayed = geteuid() == 0 && access(setpriv, X_OK) == 0
  /// Everything down to the image's files may be read by all.
  static let canReadImage = {
    var path = Bench.image
    let files = ["kernel", "initrd", "disk.raw", "image.json"].map { "\(path)/\($0)" }
    func allows(_ path: String, _ bits: mode_t) -> Bool {
      var status = stat()
      return stat(path, &status) == 0 && status.st_mode & bits == bits
    }
    guard files.allSatisfy({ allows($0, 0o004) }) else { return false }
    while path.count > 1 {
      guard allows(path, 0o001) else { return false }
      path = (path as NSString).deletingLastPathComponent
    }
    return true
  }()

  let folder = TestFolder()

  init() throws {
    let files = FileManager.default
    try files.createDirectory(atPath: "\(folder.path)/bin", withIntermediateDirectories: true)
    // They may lie in a folder that is not for everybody.
    try Bench.copy(["volary", "volary-machine", "volary-nat"], to: "\(folder.path)/bin")
    guard chmod(folder.path, 0o777) == 0 else { throw Errno(errno) }
  }

  /// Starts `volary`. Without `data` its images are in the home that he has not.
  func volary(_ arguments: [String], data: String?, temporary: String? = nil) throws -> Run {
    let scratch = TestFolder()
    guard chown(scratch.path, Self.user, Self.user) == 0 else { throw Errno(errno) }
    let token = "VOLARY_TEST_TOKEN=\(UUID().uuidString)"
    var environment = [token, "HOME=/nonexistent", "TMPDIR=\(temporary ?? scratch.path)"]
    if let data { environment.append("VOLARY_DATA=\(data)") }
    let program = try ProgramRun(
      "/usr/bin/env",
      ["-i"] + environment + [
        Self.setpriv, "--reuid=\(Self.user)", "--regid=\(Self.user)", "--clear-groups",
        "\(folder.path)/bin/volary",
      ] + arguments)
    return Run(program: program, token: token, temporary: scratch)
  }
}
