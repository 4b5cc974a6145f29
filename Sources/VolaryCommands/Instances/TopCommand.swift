internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import VolaryAPI
internal import VolaryHost

/// `volary top`.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Show what running instances use, the busiest first.",
    discussion: "On a terminal again and again, until Ctrl-C; elsewhere once.")

  @Option(name: .shortAndLong, help: "Seconds between two looks.") var delay = 2.0
  @Option(name: .shortAndLong, help: "How often; without it, until Ctrl-C on a terminal and once elsewhere.")
  var count: Int?
  @OptionGroup var project: ProjectOption

  func validate() throws {
    if !(0.1...3600).contains(delay) { throw ValidationError("--delay takes 0.1 to 3600 seconds") }
    if let count, count < 1 { throw ValidationError("--count takes 1 or more") }
  }

  func run() throws {
    let (query, delay) = (project.query + [("recursion", "2")], delay)
    let isTerminal = isatty(STDOUT_FILENO) != 0
    let rounds = count ?? (isTerminal ? .max : 1)
    try Daemon.run { client in
      var last = Look(try await client.get("/1.0/instances", query: query))
      for _ in 0..<rounds {
        // What a processor does is seen between two looks.
        try await Task.sleep(for: .seconds(delay))
        let look = Look(try await client.get("/1.0/instances", query: query))
        // From the upper left corner of an empty screen (ECMA-48).
        let clear = isTerminal ? "\u{1B}[H\u{1B}[2J" : ""
        print(clear + (try look.text(since: last)), terminator: "")
        fflush(nil)
        last = look
      }
    }
  }

  /// The instances at one moment.
  private struct Look {
    let at = ContinuousClock.now
    let instances: [InstanceObject]

    init(_ instances: [InstanceObject]) { self.instances = instances }

    func text(since last: Look) throws -> String {
      let seconds = max((at - last.at) / .seconds(1), 0.001)
      let before = Dictionary(last.instances.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      let running = instances.compactMap { instance -> Row? in
        guard let state = instance.state, state.pid != 0 else { return nil }
        // One that was started again in between begins at nothing.
        let old = before[instance.name]?.state.flatMap { $0.pid == state.pid ? $0 : nil }
        return Row(instance.name, instance.status, state, old, seconds: seconds)
      }.sorted { ($1.processor, $0.name) < ($0.processor, $1.name) }
      let table = TextTable(
        titles: ["NAME", "STATE", "CPU", "MEMORY", "OF", "DISK", "RECEIVED/S", "SENT/S"], objects: running,
        encoder: APICoding.prettyEncoder
      ) { row in
        [
          row.name, row.status.uppercased(), "\(Int((row.processor * 100).rounded())) %", size(row.memory),
          size(row.limit), size(row.disk), size(row.received), size(row.sent),
        ]
      }
      return try table.text(.compact)
    }

    private func size(_ bytes: Int64) -> String { ByteCount.text(bytes) }
  }

  private struct Row: Encodable {
    let name: String
    let status: String
    /// 1 is one processor.
    let processor: Double
    let memory, limit, disk, received, sent: Int64

    init(
      _ name: String, _ status: String, _ state: InstanceStateObject, _ old: InstanceStateObject?,
      seconds: Double
    ) {
      func traffic(_ state: InstanceStateObject, _ path: KeyPath<InstanceStateObject.Counters, Int64>)
        -> Int64
      {
        state.network.values.map { $0.counters[keyPath: path] }.reduce(0, +)
      }
      func rate(_ path: KeyPath<InstanceStateObject.Counters, Int64>) -> Int64 {
        guard let old else { return 0 }
        return Int64(Double(max(traffic(state, path) - traffic(old, path), 0)) / seconds)
      }
      self.name = name
      self.status = status
      processor = old.map { Double(max(state.cpu.usage - $0.cpu.usage, 0)) / 1e9 / seconds } ?? 0
      memory = state.memory.usage
      limit = state.memory.total
      disk = state.disk.values.map(\.usage).reduce(0, +)
      received = rate(\.bytesReceived)
      sent = rate(\.bytesSent)
    }
  }
}
