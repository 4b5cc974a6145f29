internal import Foundation

extension ControlGroup {
  /// What a group has used, as its kernel counts it; nil for what it does not count.
  package struct Usage: Equatable, Sendable {
    /// Bytes, with the host's cache of what the machine read and wrote.
    package var memory: UInt64?
    /// Bytes that it may have; nil also for as much as there is.
    package var memoryMaximum: UInt64?
    /// How often the kernel ended a process of it because that was too little.
    package var memoryKills: UInt64?
    /// Microseconds.
    package var processorTime: UInt64?
    /// Microseconds in which it was held back by its cap.
    package var throttledTime: UInt64?
    /// Bytes, of all disks together.
    package var readBytes: UInt64?
    package var writtenBytes: UInt64?

    package init() {}

    /// From the texts of the group's files, by their names.
    package init(_ text: (String) -> String?) {
      func number(_ file: String) -> UInt64? {
        text(file).flatMap { UInt64($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
      }
      /// A line `name number`.
      func field(_ file: String, _ name: String) -> UInt64? {
        for line in (text(file) ?? "").split(separator: "\n") {
          let words = line.split(separator: " ")
          if words.count == 2, words[0] == name { return UInt64(words[1]) }
        }
        return nil
      }
      memory = number("memory.current")
      memoryMaximum = number("memory.max")
      memoryKills = field("memory.events", "oom_kill")
      processorTime = field("cpu.stat", "usage_usec")
      throttledTime = field("cpu.stat", "throttled_usec")
      // `8:0 rbytes=1 wbytes=2 rios=…`, a line a disk.
      guard let disks = text("io.stat") else { return }
      func sum(_ name: String) -> UInt64 {
        disks.split(whereSeparator: \.isWhitespace).compactMap { word in
          word.hasPrefix(name + "=") ? UInt64(word.dropFirst(name.count + 1)) : nil
        }.reduce(0, &+)
      }
      readBytes = sum("rbytes")
      writtenBytes = sum("wbytes")
    }
  }

  package var usage: Usage { Usage { try? String(contentsOfFile: "\(path)/\($0)", encoding: .utf8) } }
}
