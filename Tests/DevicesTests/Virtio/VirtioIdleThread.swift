import Glibc
import HostSystem
import Synchronization
import Testing

private let threadCount = Atomic(0)

/// A name that no other test's thread has, short enough for the kernel.
func uniqueThreadName() -> String {
  "virtio-\(threadCount.wrappingAdd(1, ordering: .relaxed).newValue)"
}

/// Checks that a thread of this process sleeps, and does not merely find nothing to do again and again:
/// within some time it has a stretch of 50 ms in which it gets no processor time at all.
func expectIdle(thread name: String) throws {
  let thread = try #require(taskDirectory(ofThread: name), "no thread \(name)")
  #expect(
    eventually {
      let before = runTime(thread)
      usleep(50_000)
      return before != nil && runTime(thread) == before
    }, "thread \(name) does not sleep")
}

private func taskDirectory(ofThread name: String) -> String? {
  guard let directory = opendir("/proc/self/task") else { return nil }
  defer { closedir(directory) }
  while let entry = readdir(directory) {
    let task = withUnsafeBytes(of: entry.pointee.d_name) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    let path = "/proc/self/task/\(task)"
    if firstWord(of: "\(path)/comm") == name { return path }
  }
  return nil
}

/// Nanoseconds that a thread has run, as the kernel writes them.
private func runTime(_ task: String) -> String? { firstWord(of: "\(task)/schedstat") }

private func firstWord(of path: String) -> String? {
  guard let file = try? Descriptor.open(path, O_RDONLY) else { return nil }
  var bytes = [UInt8](repeating: 0, count: 256)
  let count = (try? bytes.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
  return String(decoding: bytes[..<count].prefix { $0 != 0x20 && $0 != 0x0A }, as: UTF8.self)
}
