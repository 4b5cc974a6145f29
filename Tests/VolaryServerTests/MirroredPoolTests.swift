import Foundation
import HostPrograms
import Testing
import VolaryAPI

/// What a daemon says of the sides of a mirrored pool.
@Suite struct MirroredPoolTests {
  private static let pool = "/1.0/storage-pools/safe"

  private func states(_ daemon: TestDaemon) throws -> [String] {
    try daemon.metadata(Self.pool)?["sides"]?.array?.map { $0["state"]?.string ?? "" } ?? []
  }

  private func make(_ daemon: TestDaemon, _ volume: String) throws -> Int {
    let body = #"{"name":"\#(volume)","content_type":"block","config":{"size":"4MiB"}}"#
    return try daemon.curl(Self.pool + "/volumes/custom", "POST", body: body).status
  }

  @Test func tellsHowItStandsWithEachSide() async throws {
    let (daemon, places) = (try await TestDaemon(program: "volaryd"), TestFolder())
    let (one, two) = (places.path + "/one", places.path + "/two")
    for place in [one, two] {
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    }
    let body = #"{"name":"safe","driver":"dir","config":{"source":"\#(one)","volary.mirror":"\#(two)"}}"#
    #expect(try daemon.curl("/1.0/storage-pools", "POST", body: body).status == 201)
    #expect(try states(daemon) == ["current", "current"])
    #expect(try daemon.metadata("/1.0/storage-pools/default")?["sides"] == [])
    #expect(try make(daemon, "before") == 201)
    #expect(try states(daemon) == ["current", "current"])

    try FileManager.default.moveItem(atPath: two, toPath: two + ".away")
    #expect(try states(daemon) == ["current", "missing"])
    let message = try daemon.metadata(Self.pool)?["sides"]?.array?.last?["message"]?.string
    #expect(message?.contains(two) == true, "\(message ?? "")")
    #expect(try make(daemon, "meanwhile") == 201)

    // It is back, without what was made meanwhile.
    try FileManager.default.moveItem(atPath: two + ".away", toPath: two)
    #expect(try states(daemon) == ["current", "behind"])
    _ = try daemon.carryOut(Self.pool + "/repair", "POST", "{}")
    #expect(try states(daemon) == ["current", "current"])
  }
}
