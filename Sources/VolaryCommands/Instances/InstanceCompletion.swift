internal import ArgumentParser
internal import Foundation
internal import VolaryAPI

/// Names for shells that complete what is typed (`volary --generate-completion-script bash`).
enum InstanceCompletion {
  /// Names of instances. A daemon that does not run is not started for this.
  static let names = CompletionKind.custom { (_: [String], _: Int, prefix: String) in
    let project = ProcessInfo.processInfo.environment["VOLARY_PROJECT"] ?? "default"
    let paths: [String]? = try? Daemon.ifThere {
      try await $0.get("/1.0/instances", query: [("project", project)])
    }
    return (paths ?? []).map { String($0.dropFirst("/1.0/instances/".count)) }.filter { $0.hasPrefix(prefix) }
  }
}
