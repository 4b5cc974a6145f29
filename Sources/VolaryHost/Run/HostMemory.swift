import Foundation

/// What the host has for machines, by /proc/meminfo (proc(5)).
package enum HostMemory {
  /// Bytes of memory and swap space together; nil where the host does not say.
  package static var total: UInt64? {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
    return total(meminfo: text)
  }

  /// As ``total``, from the file's text.
  static func total(meminfo text: String) -> UInt64? {
    var kibibytes: [Substring: UInt64] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 3, words[2] == "kB" { kibibytes[words[0].dropLast()] = UInt64(words[1]) }
    }
    guard let memory = kibibytes["MemTotal"] else { return nil }
    return (memory + (kibibytes["SwapTotal"] ?? 0)) << 10
  }
}
