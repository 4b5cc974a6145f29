/// What the host and a guest's agent say to each other on one connection to the agent's port.
///
/// The host opens a connection for each thing it wants and says with its first frame what that is. A frame is its kind
/// (1 byte), the bytes of its content (4, little-endian) and the content. This module is compiled into the agent too,
/// as Embedded Swift: nothing here needs Unicode's tables, hashing or a C library.
package enum AgentProtocol {
  /// The guest's port (vsock(7)) on which the agent listens. Only root may, below 1024.
  package static let port: UInt32 = 86
  /// Said in each report; 1 is the first.
  package static let version: UInt8 = 1
  /// The most bytes that a frame's content may have.
  package static let mostContent = 256 << 10
  /// Bytes of input for a program that the agent keeps; the host sends no more before it was told of room.
  package static let inputWindow = 64 << 10
  /// The most bytes of output in one frame.
  package static let outputPiece = 32 << 10
}

/// The kinds of frames.
package enum AgentFrameKind: UInt8, Sendable {
  // The host's first frame.
  /// Run a program: an ``ExecRequest``.
  case exec = 1
  /// From the next byte on both sides speak SFTP, version 3.
  case files = 2
  /// Send a ``GuestReport`` now and whenever addresses change.
  case watch = 3
  /// Switch the guest off (content 0) or start it anew (1). Answered by ``done`` or ``failed``.
  case powerOff = 4
  /// Set the clock: nanoseconds since 1970 (8 bytes). Answered by ``done`` or ``failed``.
  case setTime = 5
  /// Be another machine than before: an ``IdentityRequest``. Answered by ``done`` or ``failed``.
  case renew = 6

  // The host's further frames.
  /// Bytes for the program's standard input or terminal.
  case input = 16
  case inputEnd = 17
  /// Columns and rows of the terminal, 2 bytes each.
  case resize = 18
  /// A signal's number (1 byte), for the program and what it has started in its group.
  case signal = 19
  /// Send a report now.
  case ask = 20

  // The agent's frames.
  /// The program runs: its process's number (4 bytes).
  case started = 64
  /// It cannot be done: the error's number (4 bytes) and what it was that failed.
  case failed = 65
  /// Bytes of the program's standard output or terminal.
  case output = 66
  case errors = 67
  /// The program has ended, and all of its output was sent: its exit code, or 128 and the signal's number.
  case ended = 68
  /// So many bytes (4) of input were taken and may be sent again.
  case room = 69
  case report = 70
  case done = 71
}

/// Why bytes are no frame, or no content of its kind.
package enum AgentProtocolError: Error, Equatable, Sendable {
  case tooLong
  case unknownKind
  case truncated
  case trailing
  case badValue
}

/// A frame with its content.
package struct AgentFrame: Equatable, Sendable {
  /// Bytes in front of the content.
  package static let headerSize = 5

  package var kind: AgentFrameKind
  package var content: [UInt8]

  package init(_ kind: AgentFrameKind, _ content: [UInt8] = []) {
    self.kind = kind
    self.content = content
  }

  package var encoded: [UInt8] {
    var writer = AgentWriter()
    writer.integer(kind.rawValue)
    writer.integer(UInt32(truncatingIfNeeded: content.count))
    return writer.bytes + content
  }
}

/// Bytes as they come, taken apart into frames.
package struct AgentFrameReader: Sendable {
  private var bytes: [UInt8] = []
  private var start = 0

  package init() {}

  package mutating func append(_ more: ArraySlice<UInt8>) {
    if start > 0, start >= bytes.count / 2 {
      bytes.removeFirst(start)
      start = 0
    }
    bytes.append(contentsOf: more)
  }

  /// The next frame; nil while it is not there in whole.
  package mutating func next() throws(AgentProtocolError) -> AgentFrame? {
    guard bytes.count - start >= AgentFrame.headerSize else { return nil }
    var count = 0
    for place in (1...4).reversed() { count = count << 8 | Int(bytes[start + place]) }
    guard count <= AgentProtocol.mostContent else { throw .tooLong }
    guard let kind = AgentFrameKind(rawValue: bytes[start]) else { throw .unknownKind }
    let content = start + AgentFrame.headerSize
    guard bytes.count - content >= count else { return nil }
    defer { start = content + count }
    return AgentFrame(kind, Array(bytes[content..<content + count]))
  }

  /// What came behind the last frame, and is no frame's any more.
  package mutating func takeRest() -> [UInt8] {
    defer {
      bytes = []
      start = 0
    }
    return Array(bytes[start...])
  }
}
