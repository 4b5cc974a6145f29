import Foundation
import Testing
import VolaryCommands

struct ImageTextTests {
  private static let record = ImageRecord(
    name: "debian/13", architecture: .riscv64, createdAt: Date(timeIntervalSince1970: 1_700_000_000),
    source: "Debian 13, \"trixie\"", kernelSize: 1, initrdSize: 2, diskSize: 3, storedSize: 5 << 20,
    packages: ["apt": "3.0.3"])

  @Test func tables() throws {
    #expect(
      try ImageTable.text([Self.record], format: .compact) == """
        NAME       ARCHITECTURE  SIZE     CREATED               SOURCE
        debian/13  riscv64       5.0 MiB  2023-11-14T22:13:20Z  Debian 13, "trixie"

        """)
    let table = try ImageTable.text([Self.record], format: .table).split(separator: "\n")
    #expect(table.count == 5 && Set(table.map(\.count)).count == 1)
    let csv = try ImageTable.text([Self.record], format: .csv).split(separator: "\n")
    #expect(csv.last == "debian/13,riscv64,5.0 MiB,2023-11-14T22:13:20Z,\"Debian 13, \"\"trixie\"\"\"")
  }

  @Test(.enabled(if: hasProgram("python3"))) func documentsReadAlike() throws {
    let json = try ImageTable.text([Self.record], format: .json)
    let read = try run(
      "python3",
      ["-c", "import json,sys; d=json.load(sys.stdin); print(d[0]['name'], d[0]['packages']['apt'])"],
      input: Data(json.utf8))
    #expect(read == Data("debian/13 3.0.3\n".utf8))
    let yaml = try ImageTable.text([Self.record], format: .yaml)
    #expect(yaml.hasPrefix("- architecture: \"riscv64\"\n  created_at:"))
    #expect(yaml.contains("\n  packages:\n    \"apt\": \"3.0.3\"\n  source: \"Debian 13, \\\"trixie\\\"\"\n"))
    #expect(try ImageTable.text([], format: .yaml) == "[]\n")
  }

  @Test(
    arguments: [
      ("4GiB", 4 << 30), ("4G", 4 << 30), ("512MiB", 512 << 20), ("1024", 1024), ("2 TiB", 2 << 40),
    ] as [(String, Int64)]) func sizes(text: String, bytes: Int64)
  {
    #expect(ByteCount.parse(text) == bytes)
  }

  @Test(arguments: ["", "GiB", "-1", "4 apples", "9999999999TiB", "99999999999999999999"])
  func noSizes(text: String) {
    #expect(ByteCount.parse(text) == nil)
  }

  @Test func progressLine() {
    #expect(
      BuildProgress.line(2, 7, "downloading packages", fraction: 0.5)
        == "[2/7] downloading packages         [##########----------]  50 %")
  }

  @Test func controlFiles() {
    let text = """
      Package: sed
      Description: short
       long
       .
       longer
      Empty:
       a
      """
    let paragraphs = DebianControl.parse(text + "\n\n\nPackage: two\n")
    #expect(paragraphs.map { $0["package"] } == ["sed", "two"])
    #expect(DebianControl.text(paragraphs[0]) == text + "\n")
    let stanza = DpkgDatabase.stanza(paragraphs[0], sums: [("/etc/a", "0123"), ("/etc/b", "4567")])
    #expect(
      DebianControl.text(stanza) == "Package: sed\nStatus: install ok unpacked\n"
        + text.dropFirst("Package: sed\n".count) + "\nConffiles:\n /etc/a 0123\n /etc/b 4567\n")
  }
}
