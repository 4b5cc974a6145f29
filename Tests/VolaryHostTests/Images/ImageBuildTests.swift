import Foundation
import HostPrograms
import Testing
import VolaryHost

/// The whole way from the archive to a shell, with QEMU as the machine. It downloads Debian, so it
/// runs only when asked for: VOLARY_IMAGE_TESTS=1. The image is kept in VOLARY_DATA and used again.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["VOLARY_IMAGE_TESTS"] != nil))
struct ImageBuildTests {
  /// An image that is built, by its name and architecture.
  struct Recipe: CustomTestStringConvertible {
    let name: String
    let architecture: GuestArchitecture
    /// How Debian's version of it begins.
    let version: String
    /// The kernel's word for the architecture.
    let machine: String
    var testDescription: String { "\(name) \(architecture.rawValue)" }
  }

  static let recipes = [
    Recipe(name: "debian/13", architecture: .riscv64, version: "13.", machine: "riscv64"),
    Recipe(name: "debian/13", architecture: .amd64, version: "13.", machine: "x86_64"),
    Recipe(name: "debian/12", architecture: .amd64, version: "12.", machine: "x86_64"),
  ]

  static func image(_ recipe: Recipe) throws -> StoredImage {
    let store = ImageStore()
    let name = try ImageName(recipe.name)
    if let image = try? store.find(name, recipe.architecture) { return image }
    let progress = BuildProgress(phases: DebianImageBuilder.phases)
    return try DebianImageBuilder(
      store: store, release: name, architecture: recipe.architecture, runner: QEMUMachineRunner(),
      progress: progress
    ).build()
  }

  /// Runs a job on a copy of the image and returns its exit code and streams.
  static func run(
    _ job: GuestJob, on recipe: Recipe = recipes[0], input: Data = Data()
  ) throws -> (code: Int32, output: Data, errors: Data) {
    let image = try image(recipe)
    let scratch = try TemporaryFolder()
    defer { withExtendedLifetime(scratch) {} }
    let folder = scratch.url
    let initrd = folder.appendingPathComponent("initrd")
    try job.write(initrd: #require(image.initrd), to: initrd)
    let runner = QEMUMachineRunner(
      input: input, outputs: folder,
      arguments: [
        "-snapshot", "-netdev", "user,id=n,restrict=on", "-device",
        "virtio-net-\(recipe.architecture == .amd64 ? "pci" : "device"),netdev=n",
      ])
    let code = try runner.run(
      recipe.architecture, kernel: #require(image.kernel).path, initrd: initrd.path,
      append: "loglevel=4 panic=-1", disk: #require(image.disk).path, memory: 512 << 20, cpus: 1,
      console: { print($0) })
    return (
      code, try Data(contentsOf: folder.appendingPathComponent("stdout")),
      try Data(contentsOf: folder.appendingPathComponent("stderr"))
    )
  }

  @Test(arguments: recipes) func jobReportsItsOutputAndExitCode(recipe: Recipe) throws {
    let script = "uname -a; cat /etc/debian_version; echo oops >/dev/stderr; exit 7"
    let (code, output, errors) = try Self.run(
      GuestJob(mode: .pipe, arguments: ["sh", "-c", script]), on: recipe)
    let text = String(decoding: output, as: UTF8.self)
    #expect(code == 7)
    #expect(text.contains("\(recipe.machine) GNU/Linux\n\(recipe.version)"))
    #expect(errors == Data("oops\n".utf8))
  }

  @Test func bytesPassUnharmedAndEnd() throws {
    let input = Data((0..<700_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) })
    let (code, output, errors) = try Self.run(GuestJob(mode: .pipe, arguments: ["cat"]), input: input)
    #expect(code == 0)
    #expect(output == input)
    #expect(errors.isEmpty)
  }

  @Test func signalsAndOrphans() throws {
    let script = "sleep 1000 & (setsid sleep 1000 &) ; kill -TERM $$"
    let (code, _, _) = try Self.run(GuestJob(mode: .pipe, arguments: ["sh", "-c", script]))
    #expect(code == 128 + 15)
  }

  @Test func commandThatDoesNotExist() throws {
    let (code, _, errors) = try Self.run(GuestJob(mode: .pipe, arguments: ["no-such-command"]))
    #expect(code == 127)
    #expect(String(decoding: errors, as: UTF8.self).contains("no-such-command"))
  }
}
