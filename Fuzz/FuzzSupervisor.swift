import Foundation
import HostSystem

/// Gives each target its share of the time, in a process of its own, and tells of those that die, hang
/// or grow.
struct FuzzSupervisor {
  /// Nanoseconds that a case may take. The slowest take milliseconds.
  private static let patience: UInt64 = 20_000_000_000
  /// Bytes that a worker may have resident.
  private static let mostMemory = 1 << 30

  let options: FuzzOptions

  init(_ options: FuzzOptions) { self.options = options }

  /// True when nothing was found.
  func run() -> Bool {
    say("seed \(options.seed), \(options.seconds) s for \(options.targets.count) targets")
    let share = UInt64(options.seconds) * 1_000_000_000 / UInt64(options.targets.count)
    var failures = 0
    for target in options.targets {
      var seeds = FuzzRandom(seed: options.seed ^ target.name.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
      let end = monotonicNanoseconds() + share
      var cases: UInt64 = 0
      var found = 0
      // A target that fails goes on behind the case that failed, a few times.
      repeat {
        let (done, failure) = watch(target, first: seeds.next(), until: end)
        cases += done
        if let failure {
          found += 1
          say("FAILED \(target.name): \(failure)")
        }
      } while monotonicNanoseconds() < end && found < 5
      say("\(target.name): \(cases) cases, \(found) failed")
      failures += found
    }
    return failures == 0
  }

  /// What a worker came to.
  private func watch(_ target: FuzzTarget, first: UInt64, until end: UInt64) -> (UInt64, String?) {
    do {
      let board = try FuzzBoard.make()
      board.startedAt = monotonicNanoseconds()
      let nothing = try Descriptor.open("/dev/null", O_RDWR)
      let errors = Descriptor(owning: dup(2))
      let worker = try ChildProcess(
        path: "/proc/self/exe", arguments: ["volary-fuzz", "--worker", "\(first)", "--target", target.name],
        descriptors: [nothing, nothing, errors, board.descriptor])
      func failure(_ what: String) -> String {
        "\(what); again with --target \(target.name) --case \(board.current)"
      }
      while monotonicNanoseconds() < end {
        if let exit = worker.wait(milliseconds: 100) { return (board.done, failure("\(exit)")) }
        // The case may have begun after this look at the clock.
        let now = monotonicNanoseconds()
        let startedAt = board.startedAt
        if now > startedAt, now - startedAt > Self.patience { return (board.done, failure("hangs")) }
        let memory = resident(worker.identifier)
        if memory > Self.mostMemory { return (board.done, failure("has \(memory >> 20) MiB")) }
      }
      return (board.done, nil)
    } catch {
      return (0, "the worker could not be started: \(error)")
    }
  }

  /// Resident bytes (proc(5), statm).
  private func resident(_ process: Int32) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * 4096
  }

  private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }
}
