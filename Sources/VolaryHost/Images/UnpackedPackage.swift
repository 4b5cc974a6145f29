import Foundation

/// A Debian package that `Guest/unpack-root` has put into a root file system.
struct UnpackedPackage {
  /// Its control files, and `list`.
  let folder: URL
  let control: DebianControl.Paragraph
  let name: String
  let version: String

  init(folder: URL) throws {
    self.folder = folder
    let text = String(decoding: try Data(contentsOf: folder.appendingPathComponent("control")), as: UTF8.self)
    guard let control = DebianControl.parse(text).first, let name = control["Package"],
      let version = control["Version"]
    else {
      throw ImageError("the package in \(folder.path) has no readable control file")
    }
    self.control = control
    self.name = name
    self.version = version
  }

  /// What dpkg names its files about the package by: those that can be installed for several
  /// architectures at once bear theirs.
  var infoName: String {
    control["Multi-Arch"] == "same" ? "\(name):\(control["Architecture"] ?? "")" : name
  }

  /// The paths it holds, as dpkg lists them: absolute, the root as `/.`, without slashes at the end.
  func paths() throws -> [String] {
    try lines(of: "list").map { line in
      let path = line.hasPrefix("./") ? line.dropFirst() : Substring("/" + line)
      return path == "/" ? "/." : String(path.hasSuffix("/") ? path.dropLast() : path)
    }
  }

  /// Its configuration files, absolute paths. Those marked for removal are not in the package.
  func configurationFiles() throws -> [String] {
    try lines(of: "conffiles").filter { $0.hasPrefix("/") }
  }

  /// What it wants to be called for (deb-triggers(5)): a file's path or a trigger's name, and
  /// whether the package that sets it off waits for it.
  func interests() throws -> [(trigger: String, awaits: Bool)] {
    try lines(of: "triggers").compactMap { line in
      let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
      guard words.count == 2 else { return nil }
      switch words[0] {
      case "interest", "interest-await": return (String(words[1]), true)
      case "interest-noawait": return (String(words[1]), false)
      default: return nil
      }
    }
  }

  private func lines(of file: String) throws -> [String] {
    let url = folder.appendingPathComponent(file)
    guard FileManager.default.fileExists(atPath: url.path) else { return [] }
    return String(decoding: try Data(contentsOf: url), as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
