package import Foundation

/// An apt of its own for a foreign architecture: the host's program, settings and network, but
/// with lists, state and downloads in a folder of ours. It installs nothing and needs no rights.
package struct AptWorkspace {
  let folder: URL
  private var configuration: URL { folder.appendingPathComponent("apt.conf") }
  var downloads: URL { folder.appendingPathComponent("archives", isDirectory: true) }

  /// Makes the folder ready.
  ///
  /// - Parameter sources: what to download from, in the one-line format of sources.list(5).
  package init(at folder: URL, architecture: GuestArchitecture, sources: [String]) throws {
    self.folder = folder
    let files = FileManager.default
    for name in ["lists/partial", "archives/partial", "empty"] {
      try files.createDirectory(at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
    }
    try Data().write(to: folder.appendingPathComponent("status"))
    try Data(sources.joined(separator: "\n").appending("\n").utf8)
      .write(to: folder.appendingPathComponent("sources.list"))
    let path = folder.path
    // The host's hooks are about the host's own packages; its proxies and checks stay as they are.
    let text = """
      #clear DPkg;
      #clear APT::Update;
      #clear APT::Architectures;
      #clear APT::Default-Release;
      APT::Architecture "\(architecture.rawValue)";
      APT::Architectures { "\(architecture.rawValue)"; };
      APT::Install-Recommends "false";
      APT::Get::Assume-Yes "true";
      Acquire::Languages { "none"; };
      Dir::State "\(path)";
      Dir::State::lists "\(path)/lists";
      Dir::State::status "\(path)/status";
      Dir::State::extended_states "\(path)/extended_states";
      Dir::Cache "\(path)";
      Dir::Cache::archives "\(path)/archives";
      Dir::Log "\(path)";
      Dir::Etc::sourcelist "\(path)/sources.list";
      Dir::Etc::sourceparts "\(path)/empty";
      Dir::Etc::preferences "\(path)/preferences";
      Dir::Etc::preferencesparts "\(path)/empty";

      """
    try Data(text.utf8).write(to: configuration)
  }

  /// Downloads and verifies the package indexes.
  package func update(codename: String) throws {
    do {
      try run(
        "apt-get", ["-qq", "-o", "APT::Update::Error-Mode=any", "update"],
        doing: "downloading the package index")
    } catch let error as ImageError {
      throw Self.explain(error, codename: codename)
    }
  }

  /// Downloads packages and all they depend on into `downloads`.
  ///
  /// - Parameters:
  ///   - patterns: names, or apt-patterns(7) such as `?essential`.
  ///   - progress: the part that is done, 0 to 1.
  /// - Throws: `notFound` with apt's own words about a package that the index lacks.
  package func download(_ patterns: [String], progress: @escaping @Sendable (Double) -> Void = { _ in })
    throws
  {
    do {
      try run(
        "apt-get", ["-qq", "-o", "APT::Status-Fd=1", "--download-only", "install"] + patterns,
        doing: "downloading the packages"
      ) { line in
        // dlstatus:ITEM:PERCENT:WORDS (apt's README.progress-reporting)
        let fields = line.split(separator: ":")
        if fields.count >= 3, fields[0] == "dlstatus", let percent = Double(fields[2]) {
          progress(percent / 100)
        }
      }
    } catch let error as ImageError {
      throw Self.missingPackages(error) ?? error
    }
  }

  /// Downloads packages alone, without what they depend on, into `folder`.
  func download(only names: [String], into folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try run(
      "apt-get", ["-qq", "download"] + names, in: folder,
      doing: "downloading \(names.joined(separator: ", "))")
  }

  /// The words of a field of the newest version of a package.
  func field(_ field: String, of package: String) throws -> [String] {
    let text = try run(
      "apt-cache", ["show", "--no-all-versions", package], doing: "looking up the package \(package)")
    return DebianControl.parse(text).first?.words(field) ?? []
  }

  @discardableResult
  private func run(
    _ program: String, _ arguments: [String], in folder: URL? = nil, doing action: String,
    line: (@Sendable (String) -> Void)? = nil
  ) throws -> String {
    try HostTool.run(program, ["-c", configuration.path] + arguments, in: folder, doing: action, line: line)
  }

  /// One line for packages that cannot be had, in apt's words; nil when the error is about something else.
  private static func missingPackages(_ error: ImageError) -> ImageError? {
    let words = error.log.filter { line in
      line.hasPrefix("E: Unable to locate package ") || line.hasSuffix("has no installation candidate")
    }
    guard !words.isEmpty else { return nil }
    return ImageError(.notFound, words.map { $0.dropFirst("E: ".count) }.joined(separator: "; "))
  }

  /// Adds the way out to apt's words about signatures and about releases that a mirror lacks.
  private static func explain(_ error: ImageError, codename: String) -> ImageError {
    let words = error.log.joined(separator: "\n")
    if words.contains("NO_PUBKEY") || words.contains("Missing key") || words.contains("EXPKEYSIG") {
      return ImageError(
        "the signature of \(codename) cannot be verified with this host's debian-archive-keyring: "
          + "bring it up to date with 'apt-get update && apt-get install debian-archive-keyring'",
        log: error.log)
    }
    if words.contains("does not have a Release file") {
      return ImageError(
        "the archive that this host's apt uses has no \(codename): name another with '--mirror URI'",
        log: error.log)
    }
    return error
  }
}
