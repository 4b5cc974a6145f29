import Foundation
import HostPrograms
import Testing
import VolaryHost

/// The host's apt over an archive of one package, in a folder.
@Suite(.enabled(if: hasProgram("apt-get")))
struct AptWorkspaceTests {
  private let scratch: TemporaryFolder
  private let apt: AptWorkspace

  init() throws {
    scratch = try TemporaryFolder()
    let index = """
      Package: alone
      Version: 1
      Architecture: riscv64
      Maintainer: Nobody <nobody@example.org>
      Suggests: elsewhere
      Filename: ./alone_1_riscv64.deb
      Size: 1
      SHA256: \(String(repeating: "0", count: 64))
      Description: a package that the archive names and does not hold

      """
    let archive = scratch.url.appendingPathComponent("archive")
    try FileManager.default.createDirectory(at: archive, withIntermediateDirectories: true)
    try Data(index.utf8).write(to: archive.appendingPathComponent("Packages"))
    apt = try AptWorkspace(
      at: scratch.url.appendingPathComponent("apt"), architecture: .riscv64,
      sources: ["deb [trusted=yes target=Packages] file:\(archive.path) ./"])
    try apt.update(codename: "trixie")
  }

  @Test(
    arguments: [
      (["no-such-package"], "Unable to locate package no-such-package"),
      (["alone", "nothing", "nobody"], "Unable to locate package nothing; Unable to locate package nobody"),
      (["elsewhere"], "Package 'elsewhere' has no installation candidate"),
    ] as [([String], String)])
  func aPackageThatTheArchiveLacksIsNamedInOneLine(_ packages: [String], _ message: String) throws {
    let error = try #require(throws: ImageError.self) { try apt.download(packages) }
    #expect(error.code == .notFound)
    #expect(error.description == message)
  }

  @Test func otherFailuresKeepTheirWords() throws {
    let error = try #require(throws: ImageError.self) { try apt.download(["alone"]) }
    #expect(error.code == .failed)
    #expect(error.description.contains("alone_1_riscv64.deb"))
  }
}
