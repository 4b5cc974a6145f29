internal import ArgumentParser
internal import Foundation
internal import VolaryAPI

/// What instances get from profiles.
enum ProfileDevices {
  /// The devices of these profiles, the later over the earlier.
  static func read(_ names: [String], _ query: [(String, String)]) throws -> [String: [String: String]] {
    let paths = names.map(ProfileCommand.path)
    return try Daemon.run { client in
      var devices: [String: [String: String]] = [:]
      for path in paths {
        devices.merge(try await client.get(path, query: query, as: ProfileObject.self).devices) { $1 }
      }
      return devices
    }
  }
}

/// Names of profiles, for shells.
enum ProfileCompletion {
  static let names = CompletionKind.custom { (_: [String], _: Int, prefix: String) in
    let project = ProcessInfo.processInfo.environment["VOLARY_PROJECT"] ?? "default"
    let paths: [String]? = try? Daemon.ifThere {
      try await $0.get("/1.0/profiles", query: [("project", project)])
    }
    return (paths ?? []).map { String($0.dropFirst("/1.0/profiles/".count)) }.filter { $0.hasPrefix(prefix) }
  }
}
