import Foundation

/// The Debian archive that the host's own apt is set up for: guests are made from the same one.
package struct HostArchive: Equatable, Sendable {
  /// The main archive.
  package let uri: String
  /// The archive of security updates, when the host uses one.
  package let securityURI: String?

  package init(uri: String, securityURI: String?) {
    self.uri = uri
    self.securityURI = securityURI
  }

  /// Reads the host's apt configuration.
  ///
  /// Throws `notFound` when there is no Debian archive in it, as on other distributions.
  package static func find() throws -> HostArchive {
    let sources = readSources()
    let origins = (try? knownOrigins()) ?? [:]
    guard let archive = choose(from: sources, origins: origins, codename: hostCodename()) else {
      throw ImageError(
        .notFound,
        "this host's apt is set up for no Debian archive: name one with '--mirror URI', "
          + "as your /etc/apt/sources.list on a Debian system would")
    }
    return archive
  }

  /// The first main archive that is Debian's.
  ///
  /// - Parameters:
  ///   - origins: the `Origin` of archives whose index apt has, by URI. Those it lacks (a fresh
  ///     container has none) are told by the keyring they name, then by their suite alone.
  ///   - codename: the host's release, whose suite is the likeliest to be Debian's main archive.
  package static func choose(
    from sources: [AptSource], origins: [String: String], codename: String?
  ) -> HostArchive? {
    let usable = sources.filter { source in
      // Discs hold one release; another origin's archive can bear a suite of Debian's name.
      !source.uri.hasPrefix("cdrom:") && source.components.contains("main")
        && origins[source.uri] ?? "Debian" == "Debian"
    }
    let releases = usable.filter { isRelease($0.suite) }
    let ranked = releases.enumerated().sorted { a, b in
      (rank(a.element, origins, codename), b.offset) > (rank(b.element, origins, codename), a.offset)
    }
    guard let main = ranked.first?.element else { return nil }
    let security = usable.first { source in
      source.suite.hasSuffix("-security") || source.suite.hasSuffix("/updates")
    }
    return HostArchive(uri: main.uri, securityURI: security?.uri)
  }

  private static func rank(_ source: AptSource, _ origins: [String: String], _ codename: String?) -> Int {
    (origins[source.uri] == "Debian" ? 4 : 0)
      + (source.signedBy?.contains("debian-archive") == true ? 2 : 0)
      + (source.suite == codename ? 1 : 0)
  }

  /// Whether a suite is a release of Debian itself rather than an addition to one.
  private static func isRelease(_ suite: String) -> Bool {
    !["-updates", "-security", "/updates", "-backports", "-backports-sloppy", "-proposed-updates", "-pgdg"]
      .contains { suite.hasSuffix($0) }
  }

  private static func readSources() -> [AptSource] {
    let folder = "/etc/apt/sources.list.d"
    let parts = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    return (["/etc/apt/sources.list"] + parts.map { "\(folder)/\($0)" }).flatMap { file -> [AptSource] in
      guard let data = FileManager.default.contents(atPath: file) else { return [] }
      let text = String(decoding: data, as: UTF8.self)
      if file.hasSuffix(".list") { return AptSource.parseOneLine(text) }
      return file.hasSuffix(".sources") ? AptSource.parseDeb822(text) : []
    }
  }

  /// The `Origin` fields of the archives whose indexes apt has downloaded, by URI.
  private static func knownOrigins() throws -> [String: String] {
    let text = try HostTool.run(
      "apt-get", ["indextargets", "--format", "$(REPO_URI)\t$(ORIGIN)", "Created-By: Packages"],
      doing: "asking apt for its archives")
    var origins: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
      // An archive whose index is absent has the variable's own name here.
      guard fields.count == 2, !fields[1].isEmpty, !fields[1].hasPrefix("$") else { continue }
      let uri = fields[0].hasSuffix("/") ? fields[0].dropLast() : fields[0]
      origins[String(uri)] = String(fields[1])
    }
    return origins
  }

  /// `VERSION_CODENAME` of os-release(5).
  private static func hostCodename() -> String? {
    guard let data = FileManager.default.contents(atPath: "/etc/os-release") else { return nil }
    return String(decoding: data, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("VERSION_CODENAME=") }
      .map { $0.dropFirst("VERSION_CODENAME=".count).trimmingCharacters(in: ["\""]) }
  }
}
