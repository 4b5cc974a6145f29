import ArgumentParser
import MachineControl
internal import VolaryHost

/// `volary version`.
struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Print the version of Volary.")

  func run() { print("volary \(volaryVersion)") }
}
