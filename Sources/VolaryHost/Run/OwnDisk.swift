package import DiskImages
package import MachineControl

/// A disk of the person's own that `volary run` writes in place: a file or a server's, and how it is taken.
package struct OwnDisk: Equatable, Sendable {
  package var path: String
  /// Where it is, if it is a server's.
  package private(set) var location: NBDLocation?
  package var format: MachineConfiguration.Disk.Format
  package var cache: MachineConfiguration.Disk.Cache
  package var isReadOnly = false

  package init(
    _ path: String, format: MachineConfiguration.Disk.Format = .raw,
    cache: MachineConfiguration.Disk.Cache = .writeback
  ) {
    self.path = path
    self.format = format
    self.cache = cache
  }

  /// Reads `FILE[,format=raw|qcow2][,cache=writeback|writethrough|none|unsafe][,readonly]`, where the file may be a disk
  /// of a server's (``NBDLocation``). What follows the last commas counts as settings as long as it looks like one of
  /// these; the rest is the file's name, commas and all.
  package init(parsing text: String) throws(VolaryError) {
    try self.init(settingsOf: text)
    guard NBDLocation.isMeant(by: path) else { return }
    do throws(DiskImageError) { location = try NBDLocation(path) } catch {
      throw VolaryError(.usage, error.description)
    }
    if let location { try ServerDisk.check(location) }
  }

  private init(settingsOf text: String) throws(VolaryError) {
    self.init(text)
    while let comma = path.lastIndex(of: ",") {
      let setting = path[path.index(after: comma)...]
      if setting == "readonly" {
        isReadOnly = true
        path = String(path[..<comma])
        continue
      }
      guard let equals = setting.firstIndex(of: "=") else { break }
      let value = String(setting[setting.index(after: equals)...])
      switch setting[..<equals] {
      case "format": format = try Self.choice("format", value, ["raw": .raw, "qcow2": .qcow2])
      case "cache":
        cache = try Self.choice(
          "cache", value,
          ["none": .none, "unsafe": .unsafe, "writeback": .writeback, "writethrough": .writethrough])
      default: return
      }
      path = String(path[..<comma])
    }
  }

  private static func choice<T>(
    _ name: String, _ value: String, _ choices: [String: T]
  ) throws(VolaryError) -> T {
    if let choice = choices[value] { return choice }
    throw VolaryError(
      .usage, "a disk's \(name) is not '\(value)'",
      wayOut: "give one of \(choices.keys.sorted().joined(separator: ", "))")
  }
}
