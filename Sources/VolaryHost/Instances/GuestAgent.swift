internal import Foundation
package import MachineControl

/// The program that runs in guests for the host (Guests/agent): it is handed to a guest with its initial RAM disk, so
/// that each start has the agent that fits this host.
package enum GuestAgent {
  /// Its path; nil where it is not installed, and then guests have none.
  package static func find(for architecture: MachineConfiguration.Architecture) -> String? {
    HelperProgram.folders.map { "\($0)/volary-agent-\(architecture)" }
      .first { FileManager.default.isReadableFile(atPath: $0) }
  }

  static func program(for architecture: MachineConfiguration.Architecture) -> [UInt8]? {
    find(for: architecture).flatMap { try? Data(contentsOf: URL(fileURLWithPath: $0)) }.map { [UInt8]($0) }
  }
}
