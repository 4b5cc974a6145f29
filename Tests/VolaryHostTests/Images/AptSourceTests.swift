import Testing
import VolaryHost

struct AptSourceTests {
  @Test func oneLineFormat() {
    let sources = AptSource.parseOneLine(
      """
      # deb http://commented.example/debian trixie main
      deb http://one.example/debian/ bookworm main contrib # a word at the end
      deb-src http://one.example/debian bookworm main
        deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] https://two.example/debian bookworm-updates main
      deb [arch=amd64] cdrom:[Debian_12]/ bookworm main

      deb http://short.example
      """)
    #expect(
      sources.prefix(2) == [
        AptSource(uri: "http://one.example/debian", suite: "bookworm", components: ["main", "contrib"]),
        AptSource(
          uri: "https://two.example/debian", suite: "bookworm-updates", components: ["main"],
          signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg"),
      ])
    #expect(sources.count == 3)
  }

  @Test func deb822Format() {
    let sources = AptSource.parseDeb822(
      """
      Types: deb deb-src
      # between the fields
      URIs: http://one.example/debian/
      Suites: bookworm bookworm-updates
      Components: main
      Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

      types: deb
      uris: http://two.example/security
        http://three.example/security
      suites: bookworm-security
      components: main
       contrib

      Enabled: no
      Types: deb
      URIs: http://off.example/debian
      Suites: bookworm
      Components: main

      Types: deb-src
      URIs: http://source.example/debian
      Suites: bookworm
      Components: main
      """)
    #expect(
      sources.map { "\($0.uri) \($0.suite) \($0.components.joined(separator: ","))" } == [
        "http://one.example/debian bookworm main",
        "http://one.example/debian bookworm-updates main",
        "http://two.example/security bookworm-security main,contrib",
        "http://three.example/security bookworm-security main,contrib",
      ])
    #expect(sources.first?.signedBy == "/usr/share/keyrings/debian-archive-keyring.gpg")
  }

  private static let debian = AptSource(
    uri: "http://one.example/debian", suite: "bookworm", components: ["main"])
  private static let security = AptSource(
    uri: "http://one.example/security", suite: "bookworm-security", components: ["main"])
  private static let stranger = AptSource(
    uri: "http://php.example/apt", suite: "bookworm", components: ["main"])

  @Test func choosesDebianByItsOrigin() {
    let origins = [Self.debian.uri: "Debian", Self.stranger.uri: "php.example"]
    let archive = HostArchive.choose(
      from: [Self.stranger, Self.security, Self.debian], origins: origins, codename: "bookworm")
    #expect(archive == HostArchive(uri: Self.debian.uri, securityURI: Self.security.uri))
  }

  @Test func choosesDebianByItsKeyringWhereNoIndexIsThere() {
    let signed = AptSource(
      uri: "http://two.example/debian", suite: "trixie", components: ["main"],
      signedBy: "/usr/share/keyrings/debian-archive-keyring.pgp")
    let archive = HostArchive.choose(from: [Self.stranger, signed], origins: [:], codename: "bookworm")
    #expect(archive == HostArchive(uri: signed.uri, securityURI: nil))
  }

  @Test(arguments: [
    AptSource(uri: "cdrom:[Debian]", suite: "bookworm", components: ["main"]),
    AptSource(uri: "http://one.example/debian", suite: "bookworm-backports", components: ["main"]),
    AptSource(uri: "http://one.example/debian", suite: "bookworm", components: ["contrib"]),
    AptSource(uri: "http://ubuntu.example", suite: "noble", components: ["main"]),
  ]) func findsNoDebian(in source: AptSource) {
    #expect(
      HostArchive.choose(from: [source], origins: ["http://ubuntu.example": "Ubuntu"], codename: nil) == nil)
  }

  @Test func guestsAptFollowsTheHosts() throws {
    let dump = """
      Acquire "";
      Acquire::http "";
      Acquire::http::Proxy "http://localhost:3142/";
      Acquire::https::Proxy "";
      Acquire::Check-Valid-Until "false";
      APT::Architecture "amd64";
      """
    let release = try DebianRelease.find(ImageName("debian/13"), .riscv64)
    let settings = GuestSettings(
      release: release, archive: HostArchive(uri: "http://one.example/debian", securityURI: nil),
      aptSettings: GuestSettings.parseAptSettings(dump))
    #expect(
      settings.aptConfiguration() == """
        // As the host's own apt is set up.
        Acquire::http::Proxy "http://10.0.2.2:3142/";
        Acquire::Check-Valid-Until "false";

        """)
    #expect(
      AptSource.parseDeb822(settings.sources()).map { "\($0.uri) \($0.suite)" } == [
        "http://one.example/debian trixie", "http://one.example/debian trixie-updates",
      ])
  }
}
