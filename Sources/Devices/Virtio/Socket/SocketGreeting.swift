/// The line by which a program of the host names the guest's port that it wants: `CONNECT <port>`.
struct SocketGreeting {
  enum Outcome: Equatable {
    /// The rest of the line is still to come.
    case incomplete
    case port(UInt32)
    /// There will be no such line.
    case malformed
  }

  /// Bytes, with the end of the line.
  private static let longest = 32
  private static let newline = UInt8(ascii: "\n")

  private var line: [UInt8] = []

  /// Reads what there is of the line, and nothing behind it: that is the guest's.
  mutating func read(from channel: HostChannel) -> Outcome {
    var bytes = [UInt8](repeating: 0, count: Self.longest - line.count)
    switch bytes.withUnsafeMutableBytes({ channel.peek(into: $0) }) {
    case .wouldBlock: return .incomplete
    case .transferred(let count) where count > 0:
      let end = bytes[..<count].firstIndex(of: Self.newline)
      let taken = end.map { $0 + 1 } ?? count
      let outcome = bytes.withUnsafeMutableBytes {
        channel.read(into: [UnsafeMutableRawBufferPointer(rebasing: $0[..<taken])])
      }
      guard outcome == .transferred(taken) else { return .malformed }
      line += bytes[..<taken]
      if end != nil { return Self.parse(line).map { .port($0) } ?? .malformed }
      return line.count < Self.longest ? .incomplete : .malformed
    default: return .malformed
    }
  }

  /// The port in a line; nil when it is no greeting.
  static func parse(_ line: [UInt8]) -> UInt32? {
    let words = String(decoding: line, as: UTF8.self).split { $0 == " " || $0.isNewline }
    guard words.count == 2, words[0].lowercased() == "connect", words[1].allSatisfy(\.isNumber) else {
      return nil
    }
    return UInt32(words[1])
  }
}
