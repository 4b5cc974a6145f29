internal import Foundation
internal import Glibc
internal import HostSystem
internal import NIOCore
internal import VolaryAPI
internal import VolaryHost

/// Backups on their way between the daemon and files.
struct BackupTransfer {
  /// Seconds for which the daemon keeps a backup that nobody took.
  private static let kept: Int64 = 24 * 3600

  /// Of the backups of something.
  let path: String
  let query: [(String, String)]

  init(_ path: String, _ query: [(String, String)]) {
    self.path = path
    self.query = query
  }

  // MARK: - Out

  /// Has a backup made, writes it to a file, and has it deleted. `-` is standard output.
  func export(_ post: BackupsPost, to target: String, replaces: Bool) throws {
    var post = post
    post.expiresAt = Timestamp.now.advanced(seconds: Self.kept)
    let (path, query, wanted) = (path, query, post)
    try Self.writing(target, replaces: replaces) { file, words in
      try Daemon.run { client in
        let operation = try await client.follow(try await client.post(path, query: query, wanted))
        guard let place = operation.resources["backups"]?.first else {
          throw APIError(.failed, "the daemon does not say where the backup is")
        }
        do { try await Self.download(place, query, to: file, words, client) } catch {
          _ = try? await client.delete(place, query: query)
          throw error
        }
        try await client.follow(try await client.delete(place, query: query))
      }
    }
  }

  /// Writes a backup that there is to a file.
  func download(_ backup: String, to target: String, replaces: Bool) throws {
    let (place, query) = ("\(path)/\(APIEndpoint.escaped(backup))", query)
    try Self.writing(target, replaces: replaces) { file, words in
      try Daemon.run { try await Self.download(place, query, to: file, words, $0) }
    }
  }

  private static func writing(
    _ target: String, replaces: Bool, _ body: (_ file: Int32, _ name: String) throws -> Void
  ) throws {
    if target == "-" {
      if isatty(STDOUT_FILENO) == 1 {
        throw VolaryError(
          .usage, "a backup is nothing to look at", wayOut: "name a file, or lead it into a program")
      }
      return try body(STDOUT_FILENO, "standard output")
    }
    do {
      try NewFile.make(target, replaces: replaces) { new in
        try body(new.descriptor.raw, target)
        try new.descriptor.synchronize()
      }
    } catch let error as ImageError {
      throw VolaryError(VolaryError.Code(rawValue: error.code.rawValue) ?? .failed, error.message)
    }
  }

  private static func download(
    _ place: String, _ query: [(String, String)], to file: Int32, _ name: String, _ client: APIClient
  ) async throws {
    let object: BackupObject = try await client.get(place, query: query)
    let line = ProgressLine(isQuiet: false)
    defer { line.clear() }
    let handle = FileHandle(fileDescriptor: file, closeOnDealloc: false)
    var done: Int64 = 0
    try await client.download(place + "/export", query: query) { bytes in
      do { try handle.write(contentsOf: Data(bytes.readableBytesView)) } catch {
        throw VolaryError("cannot write \(name): \(error.localizedDescription)")
      }
      done += Int64(bytes.readableBytes)
      line.show(VolaryAPI.Progress(phase: "writing \(name)", done: done, total: object.size, unit: "bytes"))
    }
    guard done == object.size else { throw VolaryError("the backup did not come whole") }
  }

  // MARK: - In

  /// Sends a file as a backup to ``path``, and returns what was made of it. `-` is standard input.
  func upload(_ source: String, headers: [(String, String)]) throws -> OperationObject {
    let file: FileHandle
    var length: Int64?
    if source == "-" {
      file = .standardInput
    } else {
      let raw = open(source, O_RDONLY | O_CLOEXEC)
      guard raw >= 0 else {
        throw VolaryError(
          errno == ENOENT ? .notFound : .failed, "cannot read \(source): \(String(cString: strerror(errno)))")
      }
      file = FileHandle(fileDescriptor: raw, closeOnDealloc: true)
      length = (try? FileManager.default.attributesOfItem(atPath: source))?[.size] as? Int64
    }
    let (path, query, size, handle) = (path, query, length, Unchecked(file))
    let headers = headers + [("Content-Type", "application/octet-stream")]
    return try Daemon.run { client in
      let reply: APIReply
      do {
        let line = ProgressLine(isQuiet: false)
        defer { line.clear() }
        let sent = Tally()
        reply = try await client.upload(path, query: query, headers: headers) {
          let bytes = try handle.value.read(upToCount: 256 << 10) ?? Data()
          guard !bytes.isEmpty else { return nil }
          let done = sent.add(Int64(bytes.count))
          line.show(VolaryAPI.Progress(phase: "reading \(source)", done: done, total: size, unit: "bytes"))
          return ByteBuffer(bytes: bytes)
        }
      }
      return try await client.follow(reply)
    }
  }
}
