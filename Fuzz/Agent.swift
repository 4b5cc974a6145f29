import AgentProtocol

/// What a guest's agent says to the host, and the other way round.
extension FuzzTarget {
  static let agents = [FuzzTarget("agent", agent)]

  private static func agent(_ random: inout FuzzRandom) throws {
    var bytes: [UInt8] = []
    for _ in 0..<1 + random.below(4) {
      var content = random.once(in: 2) ? report(&random).encoded : request(&random).encoded
      if random.once(in: 2) { random.mutate(&content) }
      let kinds: [AgentFrameKind] = [.report, .exec, .output, .room, .ended, .failed, .input]
      bytes += AgentFrame(kinds[random.below(kinds.count)], content).encoded
    }
    if random.once(in: 3) { random.mutate(&bytes) }
    var reader = AgentFrameReader()
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = rest.prefix(1 + random.below(2000))
      rest = rest.dropFirst(piece.count)
      reader.append(piece)
      while let frame = try reader.next() {
        precondition(frame.content.count <= AgentProtocol.mostContent)
        if let report = try? GuestReport(decoding: frame.content) {
          precondition(report.interfaces.allSatisfy { $0.counters.count == 8 })
        }
        if let request = try? ExecRequest(decoding: frame.content) {
          precondition(request.arguments.allSatisfy { !$0.contains(0) })
        }
      }
    }
  }

  private static func report(_ random: inout FuzzRandom) -> GuestReport {
    var report = GuestReport()
    report.hostname = random.bytes(random.below(20))
    for _ in 0..<random.below(4) {
      var interface = GuestReport.Interface()
      interface.name = random.bytes(random.below(16))
      for _ in 0..<random.below(3) {
        interface.addresses.append(
          .init(prefix: 24, scope: 0, bytes: random.bytes(random.once(in: 2) ? 4 : 16)))
      }
      report.interfaces.append(interface)
    }
    return report
  }

  private static func request(_ random: inout FuzzRandom) -> ExecRequest {
    ExecRequest(arguments: (0..<random.below(5)).map { _ in random.bytes(random.below(30)) })
  }
}
