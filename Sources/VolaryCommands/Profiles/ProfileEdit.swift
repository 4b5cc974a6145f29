internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

extension ProfileCommand {
  struct Edit: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Edit a profile as YAML in $EDITOR, or take it from standard input.")

    @Argument(completion: ProfileCompletion.names) var name: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (ProfileCommand.path(name), project.query)
      let reply = try Daemon.run { try await $0.send("GET", path, query: query) }
      let profile: ProfileObject = try reply.metadata()
      let shown: [String: JSONValue] = [
        "description": .string(profile.description), "config": try JSONValue(encoding: profile.config),
        "devices": try JSONValue(encoding: profile.devices),
      ]
      let etag = reply.etag
      try TextEditing.edit(try YAMLText.text(of: try APICoding.encode(shown)), name: "profile-\(name)") {
        text in
        let document = try YAMLReader.read(text)
        let body = ProfilePut(
          description: document["description"]?.string ?? "",
          config: try Self.strings(document["config"]), devices: try Self.devices(document["devices"]))
        try Daemon.run { _ = try await $0.put(path, query: query, body, etag: etag) }
      }
      try ProfileCommand.tellOfRunning(name, project)
    }

    private static func devices(_ value: JSONValue?) throws(VolaryError) -> [String: [String: String]] {
      var devices: [String: [String: String]] = [:]
      for (name, device) in try members(value) { devices[name] = try strings(device) }
      return devices
    }

    private static func members(_ value: JSONValue?) throws(VolaryError) -> [String: JSONValue] {
      guard let value, value != .null else { return [:] }
      guard case .object(let members) = value else {
        throw VolaryError(.usage, "config and devices are keys with values")
      }
      return members
    }

    /// People write `2` and `true` where the values are strings.
    static func strings(_ value: JSONValue?) throws(VolaryError) -> [String: String] {
      var strings: [String: String] = [:]
      for (key, value) in try members(value) {
        switch value {
        case .string(let text): strings[key] = text
        case .integer(let number): strings[key] = "\(number)"
        case .number(let number): strings[key] = "\(number)"
        case .bool(let flag): strings[key] = "\(flag)"
        case .null: strings[key] = ""
        case .array, .object: throw VolaryError(.usage, "the value of \(key) has to be a word or a number")
        }
      }
      return strings
    }
  }
}

extension InstanceObject {
  /// Says on standard error that it runs with what it was before, if it does.
  func tellOfRestart() {
    guard let condition = conditions.first(where: { $0.type == "RestartNeeded" }) else { return }
    FileHandle.standardError.write(Data("volary: \(name): \(condition.message)\n".utf8))
  }
}
