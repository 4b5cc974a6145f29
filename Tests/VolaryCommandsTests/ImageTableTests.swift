import Foundation
import HostPrograms
import Testing
import VolaryCommands
import VolaryHost

struct ImageTableTests {
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
    #expect(yaml.contains("\n  packages:\n    apt: \"3.0.3\"\n  source: \"Debian 13, \\\"trixie\\\"\"\n"))
    #expect(try ImageTable.text([], format: .yaml) == "[]\n")
  }
}
