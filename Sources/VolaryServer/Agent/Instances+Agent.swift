internal import AgentProtocol
internal import Foundation
internal import HostSystem
internal import Logging
internal import NIOCore
internal import VolaryAPI
internal import VolaryHost

/// What is done with the agents of guests.
extension Instances {
  /// How long a guest that was just started may take until its agent is there.
  private static let patienceForBoot: Duration = .seconds(120)
  /// How long an agent that has been there may take.
  private static let agentPatience: Duration = .seconds(5)
  /// Between two tries to find an agent that is not there.
  private static let longestPause: Duration = .seconds(30)

  /// Calls `body` with a connection to the agent of an instance that runs.
  func withAgent<Result: Sendable>(
    of record: InstanceRecord, _ body: @Sendable (AgentStream) async throws -> Result
  ) async throws -> Result {
    let (link, patience) = try agentLink(of: record)
    guard let result = try await AgentStream.open(link, patience: patience, body) else {
      throw Self.missingAgent(record.name)
    }
    return result
  }

  /// The way to an agent, and how long it may take.
  func agentLink(of record: InstanceRecord) throws -> (link: MachineLink, patience: Duration) {
    guard let machine = machines[record.id] else {
      throw APIError.conflict("the instance `\(record.name)` does not run", wayOut: "start it first")
    }
    if machine.isFrozen { throw machine.standstill(of: record.name) }
    if machine.report != nil { return (machine.link, Self.agentPatience) }
    let age = Duration.microseconds(max(0, Timestamp.now.microseconds - machine.startedAt.microseconds))
    return (machine.link, max(Self.agentPatience, Self.patienceForBoot - age))
  }

  static func missingAgent(_ name: String) -> APIError {
    APIError(
      .conflict, "no agent of Volary's answers in the instance `\(name)`",
      wayOut: "images that `volary image build` makes start it; in others use `volary console \(name)` or SSH"
    )
  }

  // MARK: - Reports

  /// Listens to what the guest says of itself, as long as its machine runs.
  func watchAgent(_ id: String) {
    guard let link = machines[id]?.link else { return }
    Task {
      var pause: Duration = .seconds(1)
      while self.machines[id]?.link === link {
        let heard = try? await AgentStream.open(link, patience: .seconds(20)) { stream in
          try await stream.send(AgentFrame(.watch))
          self.note(id, link, watch: stream.writer)
          while let frame = try await stream.nextFrame(), frame.kind == .report {
            guard let report = try? GuestReport(decoding: frame.content) else { break }
            self.note(id, link, report: report)
          }
          return true
        }
        self.note(id, link, report: nil)
        // One that was there is there again soon, as in a guest that went back to a snapshot.
        pause = heard == true ? .milliseconds(200) : min(max(.seconds(1), pause * 2), Self.longestPause)
        try? await Task.sleep(for: pause)
      }
    }
  }

  private func note(_ id: String, _ link: MachineLink, watch: AgentStream.Writer) {
    if machines[id]?.link === link { machines[id]?.watch = watch }
  }

  private func note(_ id: String, _ link: MachineLink, report: GuestReport?) {
    guard machines[id]?.link === link else { return }
    if report == nil { machines[id]?.watch = nil }
    machines[id]?.report = report
    machines[id]?.reportCount += 1
  }

  private static let reportRequest = ByteBuffer(bytes: AgentFrame(.ask).encoded)

  /// Has the agent, if there is one, say anew what the guest uses, in its own time.
  func askForReport(_ id: String) {
    guard let machine = machines[id], let watch = machine.watch, !machine.isFrozen else { return }
    Task { try? await watch.write(Self.reportRequest) }
  }

  /// Has the agent, if there is one, say anew what the guest uses, and gives it a moment for it.
  func refreshReport(_ id: String) async {
    guard let machine = machines[id], let watch = machine.watch, !machine.isFrozen else { return }
    try? await watch.write(Self.reportRequest)
    for _ in 0..<25 where machines[id]?.reportCount == machine.reportCount {
      try? await Task.sleep(for: .milliseconds(20))
    }
  }

  // MARK: - The guest's end and time

  /// Has the agent switch the guest off, where there is one; false when nobody has taken it on.
  func askAgentToEnd(_ id: String) async -> Bool { await order(AgentFrame(.powerOff, [0]), of: id) }

  /// Tells a guest that has stood still what time it is.
  func setClock(_ id: String) async {
    var time = AgentWriter()
    time.integer(UInt64(max(0, Date().timeIntervalSince1970) * 1e9))
    _ = await order(AgentFrame(.setTime, time.bytes), of: id)
  }

  /// Has the guest of a machine that goes on from what was kept know what time it is, and who it is, if that is another
  /// than before. Returns at once; the guest learns it as soon as its agent answers.
  func settle(_ id: String) {
    guard let link = machines[id]?.link else { return }
    Task {
      for _ in 0..<1500 where self.machines[id]?.link === link && self.machines[id]?.report == nil {
        try? await Task.sleep(for: .milliseconds(20))
      }
      guard self.machines[id]?.link === link else { return }
      await self.setClock(id)
      guard let record = try? await self.current(id), let identity = self.identityToTell(record) else {
        return
      }
      if await self.order(AgentFrame(.renew, identity.encoded), of: id) {
        _ = try? await self.update(id) { $0.volatile[Volatile.forked] = nil }
      } else {
        self.services.logger.warning(
          "the guest was not told that it is another: it has the name and the addresses of what it was forked from",
          metadata: ["instance": "\(id)"])
      }
    }
  }

  /// Whether the agent, where there is one, has done something at once.
  private func order(_ frame: AgentFrame, of id: String) async -> Bool {
    guard let machine = machines[id], machine.report != nil else { return false }
    let isDone = try? await AgentStream.open(machine.link, patience: .seconds(2)) { stream in
      try await stream.send(frame)
      return try await stream.nextFrame()?.kind == .done
    }
    return isDone ?? false
  }
}
