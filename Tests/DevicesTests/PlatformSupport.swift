internal import Devices
internal import Foundation
internal import HostPrograms
internal import HostSystem
internal import Synchronization

/// An interrupt pin that remembers its level and how often it was told to change.
final class PlatformPin: InterruptPin {
  private let value = Atomic<Bool>(false)
  private let changes = Atomic<Int>(0)

  func setLevel(_ level: Bool) {
    value.store(level, ordering: .sequentiallyConsistent)
    changes.add(1, ordering: .relaxed)
  }

  var level: Bool { value.load(ordering: .sequentiallyConsistent) }
  var changeCount: Int { changes.load(ordering: .relaxed) }
}

/// An interrupt controller's input that remembers its level.
final class PlatformSink: InterruptSink {
  private let value = Atomic<Bool>(false)
  func setInput(_ input: Int, level: Bool) { value.store(level, ordering: .sequentiallyConsistent) }
  var level: Bool { value.load(ordering: .sequentiallyConsistent) }
  var line: InterruptLine { InterruptLine(sink: self, input: 10) }
}

/// Collects what a closure gets.
final class PlatformLog<Element: Sendable>: Sendable {
  private let guarded = Mutex<[Element]>([])
  func append(_ element: Element) { guarded.withLock { $0.append(element) } }
  var all: [Element] { guarded.withLock { $0 } }
}

/// A clock that stands until it is set, with the alarm of whoever goes by it.
final class PlatformClock: AlarmScheduler {
  private struct Guarded {
    var now: UInt64
    var deadline: UInt64?
    var alarm: @Sendable () -> Void = {}
    var isStopped = false
  }

  private let guarded: Mutex<Guarded>

  init(now: UInt64) { guarded = Mutex(Guarded(now: now)) }

  var now: UInt64 { guarded.withLock { $0.now } }
  var deadline: UInt64? { guarded.withLock { $0.deadline } }
  var isStopped: Bool { guarded.withLock { $0.isStopped } }

  func arm(at deadline: UInt64, _ alarm: @escaping @Sendable () -> Void) {
    guarded.withLock {
      $0.deadline = deadline
      $0.alarm = alarm
    }
  }

  func disarm() { guarded.withLock { $0.deadline = nil } }
  func stop() { guarded.withLock { $0.isStopped = true } }

  /// Sets the clock, and rings if the deadline was reached.
  func set(_ now: UInt64) {
    let due = guarded.withLock { guarded -> (@Sendable () -> Void)? in
      guarded.now = now
      guard let deadline = guarded.deadline, now >= deadline else { return nil }
      guarded.deadline = nil
      return guarded.alarm
    }
    due?()
  }
}

/// The same numbers at every run (xorshift64*).
struct PlatformRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed | 1 }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

/// Programs that tests compare with, where they are installed.
enum PlatformTool {
  static let dtc = programPath("dtc")
  static let qemu = programPath("qemu-system-riscv64")
  static let qemuPC = programPath("qemu-system-x86_64")
  static let iasl = programPath("iasl")

  struct Failed: Error {
    let exit: ChildProcess.Exit?
    let message: String
  }

  /// A file's name that nobody has, and that the caller removes.
  static func temporaryFile() -> URL {
    FileManager.default.temporaryDirectory.appending(path: "volary-\(UUID().uuidString)")
  }

  /// Runs a program to its end and returns what it printed.
  static func run(_ path: String, _ arguments: [String], input: [UInt8] = []) throws -> [UInt8] {
    let outcome = try ProgramRun(path, arguments).finish(input: input)
    guard outcome.exit == .code(0) else { throw Failed(exit: outcome.exit, message: outcome.errors) }
    return outcome.outputBytes
  }
}

/// The bytes of 32-bit words, most significant first.
func platformBytes(_ words: [UInt32]) -> [UInt8] {
  words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
}
