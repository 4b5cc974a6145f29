internal import AgentProtocol
internal import Foundation
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore
internal import VolaryAPI

/// Files of guests: one at a time by their path, or all of them by SFTP.
struct InstanceFiles: RouteGroup {
  private static let path = QueryParameter("path", .text, "The file's path in the guest", isRequired: true)
  /// Mode and owner of what is new and of which nothing is said.
  private static let usualFileMode: UInt32 = 0o644
  private static let usualFolderMode: UInt32 = 0o755

  private let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  let apiExtensions = [
    "directory_manipulation", "file_append", "file_symlinks", "file_delete", "instances_files_head",
    "instance_sftp",
  ]

  var routes: [Route] {
    [
      Route(
        .get, "/1.0/instances/{name}/files", "A file of the guest; the names in a folder", right: .use,
        query: [.project, Self.path], answer: .bytes(type: "application/octet-stream"),
        action: .respond { try await get($0) }),
      Route(
        .post, "/1.0/instances/{name}/files", "Write a file of the guest, or make a folder or a link",
        right: .use, query: [.project, Self.path], answer: .nothing,
        action: .stream { try await put($0, $1) }),
      .change(
        .delete, "/1.0/instances/{name}/files", "Remove a file or an empty folder of the guest", right: .use,
        query: [.project, Self.path]
      ) { call in
        let path = try Self.path(call)
        try await withFiles(of: try await find(call)) { files in
          try await files.remove(path, isFolder: try await files.attributes(of: path).isFolder)
        }
      },
      Route(
        .get, "/1.0/instances/{name}/sftp", "The guest's files by SFTP: a connection that is upgraded to it",
        right: .use, query: [.project], answer: .nothing,
        tunnel: .init(
          check: { call in
            _ = try await instances.agentLink(of: try await find(call))
          }, run: { try await tunnel($0, $1, $2) }),
        action: .respond { _ in
          throw APIError(.upgradeRequired, "this path is SFTP: ask for it with `Upgrade: sftp`")
        }),
    ]
  }

  private func find(_ call: Call) async throws -> InstanceRecord {
    try await instances.find(call["name"], project: call.project)
  }

  private func withFiles<Result: Sendable>(
    of record: InstanceRecord, _ body: @Sendable (FileClient) async throws -> Result
  ) async throws -> Result {
    try await instances.withAgent(of: record) { try await body(try await FileClient($0)) }
  }

  private static func path(_ call: Call) throws -> String {
    guard let path = call.query["path"], path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw APIError.invalid("a path in the guest begins with a slash")
    }
    return path
  }

  // MARK: - Reading

  private func get(_ call: Call) async throws -> Reply {
    let path = try Self.path(call)
    let record = try await find(call)
    let (link, patience) = try await instances.agentLink(of: record)
    let beginning = try await withFiles(of: record) { try await Self.begin($0, path) }
    switch beginning {
    case .folder(let attributes, let names):
      var reply = try Reply.sync(names)
      reply.headers.describe(attributes, "directory")
      return reply
    case .link(let attributes, let target):
      var reply = Reply.bytes(Array(target.utf8), type: Self.bytes)
      reply.headers.describe(attributes, "symlink")
      return reply
    case .file(let attributes):
      // A connection of its own, which the answer may never come to need.
      let body = ResponseBody { writer in
        let isSent: Void? = try await AgentStream.open(link, patience: patience) { stream in
          let files = try await FileClient(stream)
          let handle = try await files.open(path, .read)
          var offset: UInt64 = 0
          while let piece = try await files.read(handle, at: offset) {
            offset += UInt64(piece.readableBytes)
            try await writer.write(piece)
          }
        }
        // An answer that ends in the ordinary way would be an empty file.
        guard isSent != nil else { throw Instances.missingAgent(record.name) }
        try await writer.finish(nil)
      }
      var reply = Reply(headers: [.contentType: Self.bytes], body: .stream(body))
      // What files of the kernel's hold shows when they are read.
      if call.isHead, attributes.size > 0 { reply.headers[.contentLength] = "\(attributes.size)" }
      reply.headers.describe(attributes, "file")
      return reply
    }
  }

  private static let bytes = "application/octet-stream"

  private enum Beginning: Sendable {
    case file(FileClient.Attributes)
    case folder(FileClient.Attributes, [String])
    case link(FileClient.Attributes, String)
  }

  private static func begin(_ files: FileClient, _ path: String) async throws -> Beginning {
    let attributes = try await files.attributes(of: path)
    if attributes.isFolder { return .folder(attributes, try await files.names(in: path)) }
    if attributes.isLink { return .link(attributes, try await files.target(of: path)) }
    guard attributes.isFile else { throw APIError(.conflict, "`\(path)` in the guest is no file") }
    // Whether it can be read is said while there is still another answer.
    try await files.close(try await files.open(path, .read))
    return .file(attributes)
  }

  // MARK: - Writing

  private func put(_ call: Call, _ body: RequestBody) async throws -> Reply {
    let path = try Self.path(call)
    let wish = try FileWish(call.headers)
    try await withFiles(of: try await find(call)) { files in
      switch wish.kind {
      case .folder:
        if (try? await files.attributes(of: path, follows: true))?.isFolder != true {
          try await files.makeFolder(path, mode: wish.mode ?? Self.usualFolderMode)
        }
      case .link:
        let target = String(buffer: try await body.collect(upTo: 4096))
        if (try? await files.attributes(of: path))?.isLink == true {
          try await files.remove(path, isFolder: false)
        }
        try await files.makeLink(path, to: target)
      case .file:
        let opening: FileClient.Opening =
          wish.appends ? [.write, .create, .append] : [.write, .create, .truncate]
        let handle = try await files.open(path, opening, mode: wish.mode ?? Self.usualFileMode)
        var offset: UInt64 = 0
        for try await piece in body {
          try await files.write(handle, piece, at: offset)
          offset += UInt64(piece.readableBytes)
        }
        try await files.close(handle)
      }
      guard wish.kind != .link else { return }
      if wish.user != nil || wish.group != nil {
        let now = try await files.attributes(of: path, follows: true)
        try await files.set(path, user: wish.user ?? now.user, group: wish.group ?? now.group)
      }
      if let mode = wish.mode { try await files.set(path, mode: mode) }
    }
    return .done
  }

  // MARK: - SFTP

  private func tunnel(
    _ call: Call, _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>,
    _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
  ) async throws {
    try await instances.withAgent(of: try await find(call)) { stream in
      try await stream.send(AgentFrame(.files))
      let (writer, ending) = (stream.writer, stream.ending)
      let fromClient = Task {
        for try await bytes in inbound { try await writer.write(bytes) }
        // The end of the client is the end.
        ending()
      }
      defer { fromClient.cancel() }
      while let bytes = try? await stream.nextBytes() { try await outbound.write(bytes) }
    }
  }
}

/// What a request's headers say of the file that it writes.
private struct FileWish {
  enum Kind {
    case file, folder, link
  }

  var kind = Kind.file
  var appends = false
  var user: UInt32?
  var group: UInt32?
  var mode: UInt32?

  init(_ headers: HTTPFields) throws {
    switch headers[.fileType] ?? "file" {
    case "file": kind = .file
    case "directory": kind = .folder
    case "symlink": kind = .link
    case let other:
      throw APIError.invalid("`\(other.prefix(40))` is no type: there are file, directory, symlink")
    }
    switch headers[.fileWrite] ?? "overwrite" {
    case "overwrite": break
    case "append": appends = true
    case let other: throw APIError.invalid("`\(other.prefix(40))` is no way to write: overwrite or append")
    }
    user = try Self.number(headers[.fileUser], radix: 10)
    group = try Self.number(headers[.fileGroup], radix: 10)
    mode = try Self.number(headers[.fileMode], radix: 8)
    if let mode, mode > 0o7777 {
      throw APIError.invalid("the mode \(String(mode, radix: 8)) has too many bits")
    }
  }

  private static func number(_ text: String?, radix: Int) throws -> UInt32? {
    guard let text, !text.isEmpty else { return nil }
    guard let number = UInt32(text, radix: radix), number < .max else {
      throw APIError.invalid("`\(text.prefix(20))` is no number of a user, a group, or a mode")
    }
    return number
  }
}

extension HTTPFields {
  fileprivate mutating func describe(_ attributes: FileClient.Attributes, _ type: String) {
    self[.fileType] = type
    self[.fileUser] = "\(attributes.user)"
    self[.fileGroup] = "\(attributes.group)"
    let digits = String(attributes.mode & 0o7777, radix: 8)
    self[.fileMode] = String(("000" + digits).suffix(4))
    self[.fileSize] = "\(attributes.size)"
    self[.fileModified] = Timestamp(microseconds: Int64(attributes.modified) * 1_000_000).description
  }
}
