import Foundation
import HostPrograms
import Testing
import VolaryHost

/// Against GNU cpio, which did not learn the format from us.
struct CpioArchiveTests {
  @Test func cpioListsWhatWasWritten() throws {
    var archive = CpioArchive()
    archive.addFolder("etc", mode: 0o700)
    archive.addFile("etc/one", Array("1".utf8), mode: 0o640)
    archive.addFile("etc/empty", [])
    archive.addLink("sh", to: "etc/one")
    archive.addCharacterDevice("console", major: 5, minor: 1)
    archive.finish()
    let listing = try run("cpio", ["-itv", "--quiet"], input: Data(archive.bytes))
    let lines = String(decoding: listing, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
    }
    #expect(lines.map { $0[0] } == ["drwx------", "-rw-r-----", "-rw-r--r--", "lrwxrwxrwx", "crw-------"])
    #expect(lines.map { $0[2...3].joined(separator: ":") } == Array(repeating: "root:root", count: 5))
    #expect(lines[3].suffix(3) == ["sh", "->", "etc/one"])
    #expect(lines[4].contains("5,") && lines[4].contains("1"))
  }

  @Test(arguments: [0, 1, 2, 3, 4, 5, 4095, 70000]) func contentsSurvive(length: Int) throws {
    let contents = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    var archive = CpioArchive()
    archive.addFile("file", contents)
    archive.addFile("after", [7])
    archive.finish()
    let folder = try TemporaryFolder()
    _ = try run("cpio", ["-i", "--quiet"], input: Data(archive.bytes), in: folder.url)
    #expect(try Data(contentsOf: folder.url.appendingPathComponent("file")) == Data(contents))
    #expect(try Data(contentsOf: folder.url.appendingPathComponent("after")) == Data([7]))
    #expect(archive.bytes.count.isMultiple(of: 512))
  }

  @Test func equalContentsMakeEqualArchives() {
    func archive() -> [UInt8] {
      var archive = CpioArchive()
      archive.addFolder("a")
      archive.addFile("a/b", [1, 2, 3])
      archive.finish()
      return archive.bytes
    }
    #expect(archive() == archive())
  }
}
