import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

/// What the tests work with: the built programs, the image, folders of their own.
enum Bench {
  /// The folder of `volary`, `volary-machine` and `volary-nat`: `$VOLARY_BIN`, or the build's.
  static let programs: String = {
    if let chosen = environment["VOLARY_BIN"] { return chosen }
    // This file lies in Tests/EndToEndTests.
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return root.appendingPathComponent(".build/release").path
  }()

  static let environment = ProcessInfo.processInfo.environment
  static let imageName = "debian/13"

  /// The data directory with the image: `$VOLARY_TEST_DATA`, or the user's own.
  static let data: String = {
    if let chosen = environment["VOLARY_TEST_DATA"] ?? environment["VOLARY_DATA"] { return chosen }
    if let shared = environment["XDG_DATA_HOME"], shared.hasPrefix("/") { return "\(shared)/volary" }
    return NSHomeDirectory() + "/.local/share/volary"
  }()

  static let image = "\(data)/images/debian_13_riscv64"
  static let kernel = "\(image)/kernel"
  static let initrd = "\(image)/initrd"

  static let hasPrograms = ["volary", "volary-machine", "volary-nat"].allSatisfy {
    access("\(programs)/\($0)", X_OK) == 0
  }
  static let hasImage = access("\(image)/image.json", R_OK) == 0
  /// No guest is to be booted here.
  static let skipsBoots = environment["VOLARY_SKIP_BOOT"] != nil
  /// Whether a machine could run on KVM, however slow that is.
  static let hasKVM = access("/dev/kvm", R_OK | W_OK) == 0
  static let canBoot = hasPrograms && hasImage && !skipsBoots

  /// Copies built programs to a folder. Another program does it: a child that some other test starts meanwhile has
  /// all that is open here until it becomes a program of its own, and what is open for writing anywhere cannot be
  /// run ("Text file busy").
  static func copy(_ names: [String], to folder: String) throws {
    let run = try ProgramRun("/bin/cp", names.map { "\(programs)/\($0)" } + [folder])
    let outcome = try run.finish(within: 60)
    try #require(outcome.code == 0, "\(outcome.errors)")
  }

  /// Processes that carry `token` in their environment. Those of other users, and those that closed
  /// themselves to this one, are left out: only root sees them all.
  static func processes(withToken token: String) -> [Int32] {
    let pids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap {
      Int32($0)
    }
    return pids.filter { pid in
      guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return false }
      return bytes.range(of: Data(token.utf8)) != nil
    }
  }

  /// The processes that `parent` started, by the name of their program.
  static func children(of parent: Int32) -> [String: Int32] {
    var found: [String: Int32] = [:]
    let pids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap {
      Int32($0)
    }
    for pid in pids {
      guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
        let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")")
      else { continue }
      let fields = stat[stat.index(after: close)...].split(separator: " ")
      if fields.count > 1, Int32(fields[1]) == parent {
        found[String(stat[stat.index(after: open)..<close])] = pid
      }
    }
    return found
  }

  /// Whether a process is there and no zombie.
  static func isAlive(_ pid: Int32) -> Bool {
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let close = stat.lastIndex(of: ")")
    else { return false }
    return stat[stat.index(after: close)...].first { $0 != " " } != "Z"
  }

  /// Waits until `condition` holds, at most so many seconds.
  static func eventually(
    within seconds: Double = Double(ProgramRun.patience), _ condition: () throws -> Bool
  ) rethrows -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(seconds * 1e9)
    while true {
      if try condition() { return true }
      if monotonicNanoseconds() > deadline { return false }
      usleep(20_000)
    }
  }

  /// The SHA-256 of bytes, by the host's own program.
  static func sha256(_ bytes: [UInt8]) throws -> String {
    let run = try ProgramRun("/usr/bin/sha256sum", [])
    return String(try run.finish(input: bytes, within: 60).output.prefix(64))
  }

  static func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes += $0 } }
    return Array(bytes.prefix(count))
  }
}

/// A folder that goes with the object.
final class TestFolder {
  let path: String

  init() {
    path = "/tmp/volary-test-\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var content: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }

  /// Writes a file and returns its path.
  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    return "\(path)/\(name)"
  }

  /// Makes an empty disk and returns its path.
  func disk(_ name: String, bytes: Int64) throws -> String {
    let path = try file(name, [])
    guard truncate(path, off_t(bytes)) == 0 else { throw Errno(errno) }
    return path
  }
}
