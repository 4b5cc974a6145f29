import AgentProtocol
import Testing

@Suite struct AgentProtocolTests {
  @Test func framesComeOutAsTheyWentIn() throws {
    let frames = [
      AgentFrame(.exec, ExecRequest("ls", "-l", environment: ["A=b"]).encoded), AgentFrame(.inputEnd),
      AgentFrame(.output, Array(repeating: 7, count: AgentProtocol.mostContent)),
    ]
    var reader = AgentFrameReader()
    var found: [AgentFrame] = []
    for byte in frames.flatMap(\.encoded).chunked(1000) {
      reader.append(byte)
      while let frame = try reader.next() { found.append(frame) }
    }
    #expect(found == frames)
  }

  @Test func whatIsTooLongOrUnknownIsNoFrame() {
    var long = AgentFrameReader()
    long.append([66, 1, 0, 4, 0][...])
    #expect(throws: AgentProtocolError.tooLong) { try long.next() }
    var unknown = AgentFrameReader()
    unknown.append([255, 0, 0, 0, 0][...])
    #expect(throws: AgentProtocolError.unknownKind) { try unknown.next() }
  }

  @Test func requestsAndReportsComeOutAsTheyWentIn() throws {
    var request = ExecRequest("sh", "-c", "x", options: [.terminal, .noInput], environment: ["A=1", "B="])
    (request.user, request.columns, request.rows) = (1000, 80, 24)
    request.directory = Array("/tmp".utf8)
    #expect(try ExecRequest(decoding: request.encoded) == request)
    var report = GuestReport()
    var interface = GuestReport.Interface()
    (interface.name, interface.mtu, interface.flags) = (Array("eth0".utf8), 1500, 65)
    interface.counters = [1, 2, 3, 4, 5, 6, 7, 8]
    interface.addresses = [
      .init(prefix: 24, scope: 0, bytes: [10, 0, 2, 15]),
      .init(prefix: 64, scope: 253, bytes: Array(repeating: 9, count: 16)),
    ]
    (report.hostname, report.memory, report.interfaces) = (Array("web".utf8), [4, 3, 2, 1], [interface])
    #expect(try GuestReport(decoding: report.encoded) == report)
  }

  /// A guest sends what it likes.
  @Test func anyBytesAreReadOrRefused() {
    var generator = SplitMix(state: 1)
    var report = GuestReport()
    report.interfaces = [GuestReport.Interface(), GuestReport.Interface()]
    let valid = [report.encoded, ExecRequest("a", "b").encoded]
    for round in 0..<20_000 {
      var bytes = valid[round % 2]
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
      }
      if round % 3 == 0 { bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator)) }
      _ = try? GuestReport(decoding: bytes)
      _ = try? ExecRequest(decoding: bytes)
      var reader = AgentFrameReader()
      reader.append(bytes[...])
      while let frame = try? reader.next(), frame.content.count <= AgentProtocol.mostContent {}
    }
  }

  @Test func stringsWithAZeroAreNoArguments() {
    var request = ExecRequest("a")
    request.arguments = [[97, 0, 98]]
    #expect(throws: AgentProtocolError.badValue) { try ExecRequest(decoding: request.encoded) }
  }
}

/// Random numbers that are the same in each run.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}

extension Array {
  fileprivate func chunked(_ count: Int) -> [ArraySlice<Element>] {
    stride(from: 0, to: self.count, by: count).map { self[$0..<Swift.min($0 + count, self.count)] }
  }
}
