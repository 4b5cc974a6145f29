import Foundation
import HostSystem
import Testing
import VolaryCommands
import VolaryHost

/// What the built program says and ends with, without a machine.
@Suite struct CommandLineTests {
  private let installation: TestInstallation

  init() throws { installation = try TestInstallation() }

  @Test(arguments: [
    ["run"], ["run", "--bogus"], ["run", "debian/13", "true"], ["run", "debian/13", "--cpus", "0"],
    ["run", "debian/13", "--cpus", "many"], ["run", "debian/13", "--memory", "3x"],
    ["run", "debian/13", "--memory", "1MiB"], ["run", "debian/13", "--engine", "warp"],
    ["run", "debian/13", "--publish", "80"], ["run", "debian/13", "--profile"],
    ["run", "debian/13", "--engine", "interpreter", "--profile", "-"],
    ["run", "debian/13", "--publish", "8080:80", "--network", "none"],
    ["run", "--kernel", "Image", "--", "true"], ["run", "debian/13", "--initrd", "x"],
    ["run", "debian/13", "--env", "NOVALUE"], ["run", "DEBIAN"], ["nonsense"], ["doctor", "-f", "xml"],
    ["image", "build", "debian/13", "--name", "Build/13"],
    ["image", "build", "debian/13", "--package", "?essential"],
    ["image", "build", "debian/13", "--package", "gcc=4:14", "--package", "make"],
    ["image", "build", "debian/13", "--package", "make-"],
  ])
  func usageErrorsEndWith2(_ arguments: [String]) throws {
    let outcome = try installation.run(arguments)
    #expect(outcome.exit == .code(2))
    #expect(outcome.errors.hasPrefix("volary: "), "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
  }

  @Test(arguments: [["--help"], ["run", "--help"], ["version"], ["--version"], [], ["image", "list"]])
  func answersEndWith0(_ arguments: [String]) throws {
    let outcome = try installation.run(arguments)
    #expect(outcome.exit == .code(0))
    #expect(outcome.errors.isEmpty)
  }

  @Test func anEngineThatCannotRunTheGuestIsRefusedWithAnother() throws {
    let outcome = try installation.run(["run", "debian/13", "--engine", "kvm"])
    #expect(outcome.exit == .code(2))
    #expect(outcome.errors.hasPrefix("volary: --engine kvm cannot run riscv64 guests"))
    #expect(outcome.errors.contains("--engine translator, or auto"))
  }

  @Test func anImageThatIsNotThereEndsWith4() throws {
    let outcome = try installation.run(["run", "debian/13"])
    #expect(outcome.exit == .code(4))
    #expect(outcome.errors.contains("volary image build"))
    #expect(outcome.errors.split(separator: "\n").count == 1)
  }

  @Test func kernelAndDiskThatAreNotThereEndWith4() throws {
    #expect(try installation.run(["run", "--kernel", "/nonexistent"]).exit == .code(4))
    let name = try installation.image("exit 0")
    let outcome = try installation.run(["run", name, "--disk-image", "/nonexistent"])
    #expect(outcome.exit == .code(4))
    #expect(outcome.errors.contains("truncate"))
  }

  @Test func anImageIsBuiltUnderItsOwnName() throws {
    let name = try installation.image("exit 0")
    let build = ["image", "build", "debian/13", "--if-missing", "--name"]
    #expect(try installation.run(build + [name]).exit == .code(0))
    // The release is looked up by its own name, not by the image's.
    let outcome = try installation.run(["image", "build", "debian/1", "--name", "debian/13"])
    #expect(outcome.exit == .code(4))
    #expect(outcome.errors.contains("no recipe for the image debian/1:"))
  }

  @Test func aMissingHelperIsNamed() throws {
    try FileManager.default.removeItem(atPath: "\(installation.folder)/bin/volary-machine")
    let outcome = try installation.run(["run", try installation.image("exit 0"), "--network", "none"])
    #expect(outcome.exit == .code(4))
    #expect(outcome.errors.contains("volary-machine is missing"))
  }

  @Test func doctorSpeaksJSON() throws {
    struct Entry: Decodable {
      let name: String
      let verdict: String
      let detail: String
    }
    let outcome = try installation.run(["doctor", "-f", "json"])
    let entries = try JSONDecoder().decode([Entry].self, from: Data(outcome.output.utf8))
    let names = Set(entries.map(\.name))
    #expect(
      names.isSuperset(of: ["processor", "kvm", "memory", "disk room", "network", "landlock", "seccomp"]))
    let missing = entries.contains { $0.verdict == "missing" }
    #expect(outcome.exit == .code(missing ? 1 : 0))
    #expect(try installation.run(["doctor"]).output.contains("processor"))
  }
}

@Suite struct ByteSizeTests {
  private static let sizes: [(String, UInt64)] = [
    ("1GiB", 1_073_741_824), ("512MiB", 536_870_912), ("2G", 2_147_483_648), ("1K", 1024), ("0", 0),
    ("1048576", 1_048_576), ("1.5GiB", 1_610_612_736), ("0.5T", 549_755_813_888), ("10GB", 10_000_000_000),
    ("1 MiB", 1_048_576), ("7B", 7), ("1kB", 1000),
  ]

  @Test(arguments: sizes)
  func reads(_ text: String, _ bytes: UInt64) { #expect(ByteSize(text)?.bytes == bytes) }

  @Test(arguments: [
    "", "GiB", "-1", "1.2.3M", "1XB", "1 2", "0x10", "1e3", "99999999999999999999", "16777216TiB", "1.",
    ".5G",
    "0.3B", "1.0000001G", "٣G",
  ])
  func refuses(_ text: String) { #expect(ByteSize(text) == nil) }

  @Test(arguments: [1, 1023, 1024, 1_610_612_736, 3_298_534_883_328] as [UInt64])
  func comesBackFromItsText(_ bytes: UInt64) {
    #expect(ByteSize(ByteSize(bytes: bytes).description)?.bytes == bytes)
  }
}
