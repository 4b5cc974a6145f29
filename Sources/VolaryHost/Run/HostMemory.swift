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
    let bytes = fields(meminfo: text)
    return bytes["MemTotal"].map { UInt64($0 + (bytes["SwapTotal"] ?? 0)) }
  }

  /// Bytes by name, of /proc/meminfo.
  package static func fields(meminfo text: String) -> [String: Int64] {
    var fields: [String: Int64] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 3, words[2] == "kB", let number = Int64(words[1]), (0..<1 << 50).contains(number) {
        fields[String(words[0].dropLast())] = number << 10
      }
    }
    return fields
  }
}
