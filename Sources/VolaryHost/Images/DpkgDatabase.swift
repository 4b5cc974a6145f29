import Foundation

/// Writes dpkg's database (/var/lib/dpkg) for packages that are unpacked and not yet configured, as
/// dpkg itself would leave it, so that `dpkg --configure -a` in the guest finishes the installation.
package struct DpkgDatabase {
  /// The root file system that the packages were unpacked into.
  let root: URL
  private var folder: URL { root.appendingPathComponent("var/lib/dpkg", isDirectory: true) }
  private var info: URL { folder.appendingPathComponent("info", isDirectory: true) }
  private var triggers: URL { folder.appendingPathComponent("triggers", isDirectory: true) }

  func write(_ packages: [UnpackedPackage]) throws {
    for name in ["info", "triggers", "updates", "alternatives", "parts"] {
      try FileManager.default.createDirectory(
        at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
    }
    // Version 1: the names of info files can hold an architecture.
    try Data("1\n".utf8).write(to: info.appendingPathComponent("format"))
    try Data().write(to: folder.appendingPathComponent("available"))
    var status = ""
    for package in packages.sorted(by: { $0.name < $1.name }) {
      try copyControlFiles(of: package)
      let sums = try configurationSums(of: package)
      status += DebianControl.text(Self.stanza(package.control, sums: sums)) + "\n"
    }
    try Data(status.utf8).write(to: folder.appendingPathComponent("status"))
    try writeTriggers(packages)
  }

  /// A package's paragraph of the status file.
  ///
  /// The configuration files are in their places already, so their sums stand here as for an
  /// installed package; dpkg has nothing left to move.
  package static func stanza(
    _ control: DebianControl.Paragraph, sums: [(path: String, sum: String)]
  ) -> DebianControl.Paragraph {
    var stanza = control
    stanza.fields.insert(("Status", "install ok unpacked"), at: min(1, stanza.fields.count))
    if !sums.isEmpty {
      stanza.fields.append(("Conffiles", sums.map { "\n \($0.path) \($0.sum)" }.joined()))
    }
    return stanza
  }

  private func copyControlFiles(of package: UnpackedPackage) throws {
    let files = FileManager.default
    for file in try files.contentsOfDirectory(atPath: package.folder.path)
    where file != "control" && file != "list" {
      try files.copyItem(
        at: package.folder.appendingPathComponent(file),
        to: info.appendingPathComponent("\(package.infoName).\(file)"))
    }
    let list = try package.paths().joined(separator: "\n") + "\n"
    try Data(list.utf8).write(to: info.appendingPathComponent("\(package.infoName).list"))
  }

  private func configurationSums(of package: UnpackedPackage) throws -> [(path: String, sum: String)] {
    let paths = try package.configurationFiles()
    guard !paths.isEmpty else { return [] }
    let text = try HostTool.run(
      "md5sum", ["--"] + paths.map { String($0.dropFirst()) }, in: root,
      doing: "reading the configuration files of \(package.name)")
    // A line a file, in order: the sum, two characters, the name.
    return zip(paths, text.split(separator: "\n")).map { ($0, String($1.prefix(32))) }
  }

  /// Files as dpkg reads them: `File` has a line `PATH PACKAGE` for paths, and each named trigger a
  /// file of packages; `/noawait` follows a package that is not to be waited for.
  private func writeTriggers(_ packages: [UnpackedPackage]) throws {
    var byPath = ""
    var byName: [String: String] = [:]
    for package in packages {
      for (trigger, awaits) in try package.interests() {
        let interested = package.infoName + (awaits ? "" : "/noawait")
        if trigger.hasPrefix("/") {
          byPath += "\(trigger) \(interested)\n"
        } else {
          byName[trigger, default: ""] += interested + "\n"
        }
      }
    }
    try Data(byPath.utf8).write(to: triggers.appendingPathComponent("File"))
    for (name, lines) in byName { try Data(lines.utf8).write(to: triggers.appendingPathComponent(name)) }
    try Data().write(to: triggers.appendingPathComponent("Unincorp"))
  }
}
