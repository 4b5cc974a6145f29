internal import AgentProtocol
internal import NIOCore
internal import VolaryAPI

/// Files of a guest, by SFTP (draft-ietf-secsh-filexfer-02) with its agent. One request at a time.
final class FileClient: @unchecked Sendable {  // one task uses it
  /// Bytes in one request or answer.
  static let piece = 128 << 10
  private static let mostAnswer = 256 << 10

  /// What a file is.
  struct Attributes {
    var size: UInt64 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
    /// The kind's bits as well (inode(7)).
    var mode: UInt32 = 0
    /// Seconds since 1970.
    var modified: UInt32 = 0

    var isFolder: Bool { mode & 0o170000 == 0o040000 }
    var isLink: Bool { mode & 0o170000 == 0o120000 }
    var isFile: Bool { mode & 0o170000 == 0o100000 }
  }

  /// Flags of opening.
  struct Opening: OptionSet {
    let rawValue: UInt32
    static let read = Opening(rawValue: 1)
    static let write = Opening(rawValue: 2)
    static let append = Opening(rawValue: 4)
    static let create = Opening(rawValue: 8)
    static let truncate = Opening(rawValue: 16)
  }

  private let stream: AgentStream
  private var received = ByteBuffer()
  private var lastID: UInt32 = 0

  /// Takes a connection to an agent over.
  init(_ stream: AgentStream) async throws {
    self.stream = stream
    try await stream.send(AgentFrame(.files))
    var hello = ByteBuffer()
    hello.writeInteger(UInt32(5))
    hello.writeInteger(FilePacketKind.initialize)
    hello.writeInteger(UInt32(3))
    try await stream.writer.write(hello)
    _ = try await nextPacket()
  }

  // MARK: - Requests

  func attributes(of path: String, follows: Bool = false) async throws -> Attributes {
    var answer = try await ask(follows ? FilePacketKind.stat : FilePacketKind.lstat, about: path) {
      $0.writeText(path)
    }
    try Self.expect(&answer, FilePacketKind.attributes, about: path)
    return try Self.attributes(&answer)
  }

  func open(_ path: String, _ opening: Opening, mode: UInt32? = nil) async throws -> [UInt8] {
    try await handle(FilePacketKind.open, path) {
      $0.writeText(path)
      $0.writeInteger(opening.rawValue)
      $0.writeAttributes(mode: mode)
    }
  }

  /// Up to ``piece`` bytes; nil at the end.
  func read(_ handle: [UInt8], at offset: UInt64) async throws -> ByteBuffer? {
    var answer = try await ask(FilePacketKind.read, about: "", endIsFine: true) {
      $0.writeBytesWithLength(handle)
      $0.writeInteger(offset)
      $0.writeInteger(UInt32(Self.piece))
    }
    if answer.getInteger(at: answer.readerIndex, as: UInt8.self) == FilePacketKind.status { return nil }
    try Self.expect(&answer, FilePacketKind.data, about: "")
    return try answer.readBuffer()
  }

  func write(_ handle: [UInt8], _ bytes: ByteBuffer, at offset: UInt64) async throws {
    var rest = bytes
    var place = offset
    while let piece = rest.readSlice(length: min(rest.readableBytes, Self.piece)), piece.readableBytes > 0 {
      try await done(FilePacketKind.write, about: "") {
        $0.writeBytesWithLength(handle)
        $0.writeInteger(place)
        $0.writeInteger(UInt32(piece.readableBytes))
        $0.writeImmutableBuffer(piece)
      }
      place += UInt64(piece.readableBytes)
    }
  }

  func close(_ handle: [UInt8]) async throws {
    try await done(FilePacketKind.close, about: "") { $0.writeBytesWithLength(handle) }
  }

  /// Names in a folder, but for `.` and `..`.
  func names(in path: String) async throws -> [String] {
    let handle = try await handle(FilePacketKind.opendir, path) { $0.writeText(path) }
    var names: [String] = []
    while true {
      var answer = try await ask(FilePacketKind.readdir, about: path, endIsFine: true) {
        $0.writeBytesWithLength(handle)
      }
      if answer.getInteger(at: answer.readerIndex, as: UInt8.self) == FilePacketKind.status { break }
      try Self.expect(&answer, FilePacketKind.name, about: path)
      for _ in 0..<(try answer.readNumber()) {
        let name = try answer.readText()
        _ = try answer.readBuffer()
        _ = try Self.attributes(&answer)
        if name != ".", name != ".." { names.append(name) }
      }
      guard names.count <= 100_000 else { throw APIError(.tooLarge, "\(path) has more than 100,000 names") }
    }
    try await close(handle)
    return names.sorted()
  }

  func target(of path: String) async throws -> String {
    var answer = try await ask(FilePacketKind.readlink, about: path) { $0.writeText(path) }
    try Self.expect(&answer, FilePacketKind.name, about: path)
    _ = try answer.readNumber()
    return try answer.readText()
  }

  func makeLink(_ path: String, to target: String) async throws {
    try await done(FilePacketKind.symlink, about: path) {
      $0.writeText(target)
      $0.writeText(path)
    }
  }

  func makeFolder(_ path: String, mode: UInt32) async throws {
    try await done(FilePacketKind.mkdir, about: path) {
      $0.writeText(path)
      $0.writeAttributes(mode: mode)
    }
  }

  func set(_ path: String, user: UInt32? = nil, group: UInt32? = nil, mode: UInt32? = nil) async throws {
    try await done(FilePacketKind.setstat, about: path) {
      $0.writeText(path)
      $0.writeAttributes(owner: user.flatMap { user in group.map { (user, $0) } }, mode: mode)
    }
  }

  func remove(_ path: String, isFolder: Bool) async throws {
    try await done(isFolder ? FilePacketKind.rmdir : FilePacketKind.remove, about: path) {
      $0.writeText(path)
    }
  }

  // MARK: - Packets

  private func handle(
    _ kind: UInt8, _ path: String, _ body: (inout ByteBuffer) -> Void
  ) async throws -> [UInt8] {
    var answer = try await ask(kind, about: path, body)
    try Self.expect(&answer, FilePacketKind.handle, about: path)
    return Array(try answer.readBuffer().readableBytesView)
  }

  private func done(_ kind: UInt8, about path: String, _ body: (inout ByteBuffer) -> Void) async throws {
    _ = try await ask(kind, about: path, body)
  }

  /// The answer from its kind on, without its number. A status that says that something went wrong is thrown.
  private func ask(
    _ kind: UInt8, about path: String, endIsFine: Bool = false, _ body: (inout ByteBuffer) -> Void
  ) async throws -> ByteBuffer {
    lastID &+= 1
    var packet = ByteBuffer()
    packet.writeInteger(kind)
    packet.writeInteger(lastID)
    body(&packet)
    var framed = ByteBuffer()
    framed.writeInteger(UInt32(packet.readableBytes))
    framed.writeImmutableBuffer(packet)
    try await stream.writer.write(framed)
    var answer = try await nextPacket()
    guard let kind: UInt8 = answer.readInteger(), answer.readInteger(as: UInt32.self) == lastID else {
      throw Self.malformed
    }
    if kind == FilePacketKind.status { try Self.check(answer, about: path, endIsFine) }
    var result = ByteBuffer()
    result.writeInteger(kind)
    result.writeImmutableBuffer(answer)
    return result
  }

  private static func check(_ status: ByteBuffer, about path: String, _ endIsFine: Bool) throws {
    var status = status
    let code = try status.readNumber()
    if code == 0 || code == 1 && endIsFine { return }
    let words = (try? status.readText()) ?? ""
    let place = path.isEmpty ? "the file" : "`\(path)`"
    switch code {
    case 2: throw APIError.notFound("there is no \(place) in the guest")
    case 3: throw APIError(.denied, "\(place) in the guest: \(words.prefix(100))")
    default: throw APIError(.conflict, "\(place) in the guest: \(words.prefix(100))")
    }
  }

  private func nextPacket() async throws -> ByteBuffer {
    while true {
      if let length = received.getInteger(at: received.readerIndex, as: UInt32.self) {
        guard length > 0, length <= Self.mostAnswer else { throw Self.malformed }
        if received.readableBytes >= 4 + Int(length) {
          received.moveReaderIndex(forwardBy: 4)
          defer { received.discardReadBytes() }
          if let packet = received.readSlice(length: Int(length)) { return packet }
        }
      }
      guard let more = try await stream.nextBytes() else {
        try Task.checkCancellation()
        throw APIError(.failed, "the connection to the guest's agent was lost")
      }
      received.writeImmutableBuffer(more)
    }
  }

  private static func expect(_ answer: inout ByteBuffer, _ kind: UInt8, about path: String) throws {
    guard answer.readInteger(as: UInt8.self) == kind else { throw malformed }
  }

  private static func attributes(_ buffer: inout ByteBuffer) throws -> Attributes {
    let flags = try buffer.readNumber()
    var attributes = Attributes()
    if flags & 1 != 0 {
      guard let size: UInt64 = buffer.readInteger() else { throw malformed }
      attributes.size = size
    }
    if flags & 2 != 0 {
      (attributes.user, attributes.group) = (try buffer.readNumber(), try buffer.readNumber())
    }
    if flags & 4 != 0 { attributes.mode = try buffer.readNumber() }
    if flags & 8 != 0 {
      _ = try buffer.readNumber()
      attributes.modified = try buffer.readNumber()
    }
    return attributes
  }

  fileprivate static let malformed = APIError(.failed, "the guest's agent sent what is no SFTP")
}

extension ByteBuffer {
  fileprivate mutating func writeText(_ text: String) { writeBytesWithLength(Array(text.utf8)) }

  fileprivate mutating func writeBytesWithLength(_ bytes: [UInt8]) {
    writeInteger(UInt32(bytes.count))
    writeBytes(bytes)
  }

  fileprivate mutating func writeAttributes(owner: (UInt32, UInt32)? = nil, mode: UInt32? = nil) {
    writeInteger(UInt32((owner == nil ? 0 : 2) | (mode == nil ? 0 : 4)))
    if let owner {
      writeInteger(owner.0)
      writeInteger(owner.1)
    }
    if let mode { writeInteger(mode) }
  }

  fileprivate mutating func readNumber() throws -> UInt32 {
    guard let number: UInt32 = readInteger() else { throw FileClient.malformed }
    return number
  }

  fileprivate mutating func readBuffer() throws -> ByteBuffer {
    guard let slice = readSlice(length: Int(try readNumber())) else { throw FileClient.malformed }
    return slice
  }

  fileprivate mutating func readText() throws -> String { String(buffer: try readBuffer()) }
}
