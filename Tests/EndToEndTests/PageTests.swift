import Foundation
import HostPrograms
import Testing

extension EndToEndTests {
  /// The web page in a headless Chromium, where there is one; `make page-test` installs it.
  @Suite(.serialized, .boots) struct PageTests {
    private static let isThere = ["chromium", "chromium-browser", "google-chrome"].contains {
      FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)")
    }

    @Test(.enabled(if: isThere, "there is no Chromium: make page-test installs it"), .timeLimit(.minutes(10)))
    func aPersonsWayThroughThePage() throws {
      let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").path(
        percentEncoded: false)
      let outcome = try ProgramRun(
        "/usr/bin/env",
        ["python3", "\(root)/Tests/Page/page", "--programs", Bench.programs, "--data", Bench.data]
      ).finish(within: 500)
      // What only the network has may be missing.
      if outcome.code == 77 {
        print("PageTests: \(outcome.output)")
        return
      }
      #expect(outcome.code == 0, "\(outcome.output)\(outcome.errors)")
    }
  }
}
