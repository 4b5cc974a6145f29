import ArgumentParser

/// The version of everything in this package.
package enum VolaryVersion {
  package static let current = "0.1.0"
}

/// `volary version`.
struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Print the version of Volary.")

  func run() { print("volary \(VolaryVersion.current)") }
}
