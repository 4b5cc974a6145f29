import Testing
import VolaryHost

struct ImageTextTests {
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
