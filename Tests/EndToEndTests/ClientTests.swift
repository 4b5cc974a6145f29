import Foundation
import HostPrograms
import Testing

extension EndToEndTests {
  /// Other people's clients, from Debian's packages: `incus`, and Prometheus with what it reads.
  @Suite(.serialized, .boots) struct ClientTests {
    @Test(.timeLimit(.minutes(10)), arguments: ["incus", "prometheus"])
    func aClientFindsWhatItExpects(_ client: String) throws {
      let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").path(
        percentEncoded: false)
      let outcome = try ProgramRun(
        "/usr/bin/env",
        ["python3", "\(root)/Tests/Clients/\(client)", "--programs", Bench.programs, "--data", Bench.data],
        environment: ["PYTHONDONTWRITEBYTECODE": "1"]
      ).finish(within: 500)
      // What only the network has may be missing.
      if outcome.code == 77 {
        print("ClientTests, \(client): \(outcome.output)")
        return
      }
      // The last line tells the step.
      let said = (outcome.output + outcome.errors).split(whereSeparator: \.isNewline)
      #expect(outcome.code == 0, "\(said.suffix(30).joined(separator: "\n"))")
    }
  }
}
