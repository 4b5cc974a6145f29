import Foundation

/// The files that a Debian image holds besides its packages.
package struct GuestSettings {
  let release: DebianRelease
  let archive: HostArchive
  /// Settings of the host's apt by name (apt.conf(5)), for those that the guest's apt needs too.
  let aptSettings: [String: String]

  package init(release: DebianRelease, archive: HostArchive, aptSettings: [String: String]) {
    self.release = release
    self.archive = archive
    self.aptSettings = aptSettings
  }

  /// Where programs in the guest find the host.
  private static let hostAddress = "10.0.2.2"
  /// Settings that tell how to reach an archive and whether to trust its dates.
  private static let inherited = [
    "Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date",
  ]

  /// Reads the settings of the host's apt.
  static func hostAptSettings() throws -> [String: String] {
    let text = try HostTool.run("apt-config", ["dump"], doing: "reading the host's apt settings")
    return parseAptSettings(text)
  }

  /// Reads `apt-config dump`: a line `NAME "VALUE";` each.
  package static func parseAptSettings(_ text: String) -> [String: String] {
    var settings: [String: String] = [:]
    for line in text.split(separator: "\n") where line.hasSuffix("\";") {
      guard let space = line.firstIndex(of: " ") else { continue }
      settings[String(line[..<space])] = String(line[space...].dropFirst(2).dropLast(2))
    }
    return settings
  }

  /// The files, by path below the root.
  package func files() -> [(path: String, text: String)] {
    var files = [
      ("etc/hostname", "volary\n"),
      ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 volary\n::1 localhost ip6-localhost ip6-loopback\n"),
      ("etc/fstab", "# The root disk is mounted before this file is read.\n"),
      ("etc/resolv.conf", "nameserver 10.0.2.3\n"),
      ("etc/apt/sources.list.d/debian.sources", sources()),
    ]
    if let text = aptConfiguration() { files.append(("etc/apt/apt.conf.d/90host", text)) }
    return files
  }

  /// The same archive as the host's, for all of the release's suites.
  package func sources() -> String {
    guard archive.uri.hasPrefix("http://") || archive.uri.hasPrefix("https://") else {
      return "# The host's own apt uses \(archive.uri), which cannot be reached from a machine.\n"
    }
    var text = paragraph(uri: archive.uri, suites: [release.codename, release.codename + "-updates"])
    if let uri = archive.securityURI, uri.hasPrefix("http") {
      text += "\n" + paragraph(uri: uri, suites: [release.codename + "-security"])
    }
    return text
  }

  private func paragraph(uri: String, suites: [String]) -> String {
    """
    Types: deb
    URIs: \(uri)
    Suites: \(suites.joined(separator: " "))
    Components: main
    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

    """
  }

  /// What of the host's settings the guest needs; nil when nothing is set. A proxy on the host itself
  /// is another address in the guest.
  package func aptConfiguration() -> String? {
    let lines = Self.inherited.compactMap { name -> String? in
      guard let value = aptSettings[name], !value.isEmpty else { return nil }
      var text = value
      for local in ["127.0.0.1", "localhost", "[::1]"] {
        text = text.replacingOccurrences(of: "//\(local)", with: "//\(Self.hostAddress)")
      }
      return "\(name) \"\(text)\";\n"
    }
    return lines.isEmpty ? nil : "// As the host's own apt is set up.\n" + lines.joined()
  }
}
