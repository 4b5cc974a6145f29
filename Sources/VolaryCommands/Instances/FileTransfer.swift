internal import Foundation
internal import Glibc
internal import NIOCore
internal import Synchronization
internal import VolaryAPI
internal import VolaryHost

/// Carries files between here and an instance.
struct FileTransfer: Sendable {
  let instance: String
  let query: [(String, String)]
  /// The owner, for what is written.
  var headers: [(String, String)] = []
  /// Nil for the permissions that a file has here.
  var mode: String?

  private var path: String { "/1.0/instances/\(APIEndpoint.escaped(instance))/files" }

  private func query(_ file: String) -> [(String, String)] { query + [("path", file)] }

  // MARK: - To the instance

  func push(_ source: String, to target: String, recursive: Bool, _ client: APIClient) async throws {
    if source == "-" {
      return try await upload(.standardInput, length: nil, mode: mode, to: target, client)
    }
    let attributes: [FileAttributeKey: Any]
    do { attributes = try FileManager.default.attributesOfItem(atPath: source) } catch {
      throw VolaryError(.notFound, "cannot read \(source): there is no such file")
    }
    let permissions = (attributes[.posixPermissions] as? Int) ?? 0o644
    let own = mode ?? "0" + String(permissions, radix: 8)
    switch attributes[.type] as? FileAttributeType {
    case FileAttributeType.typeDirectory:
      guard recursive else {
        throw VolaryError(.usage, "\(source) is a folder", wayOut: "give --recursive for all that is in it")
      }
      try await make(
        "directory", target, headers: headers + [("X-Incus-mode", "0" + String(permissions, radix: 8))],
        client)
      for name in try FileManager.default.contentsOfDirectory(atPath: source).sorted() {
        try await push("\(source)/\(name)", to: "\(target)/\(name)", recursive: true, client)
      }
    case FileAttributeType.typeSymbolicLink where recursive:
      let link = try FileManager.default.destinationOfSymbolicLink(atPath: source)
      try await make("symlink", target, headers: [], body: link, client)
    default:
      guard let file = FileHandle(forReadingAtPath: source) else {
        throw VolaryError(.denied, "cannot read \(source)")
      }
      let size =
        (try? FileManager.default.attributesOfItem(atPath: (source as NSString).resolvingSymlinksInPath))?[
          .size]
      try await upload(file, length: size as? Int64, mode: own, to: target, client)
    }
  }

  private func upload(
    _ file: FileHandle, length: Int64?, mode: String?, to target: String, _ client: APIClient
  ) async throws {
    var headers = headers + [("X-Incus-type", "file")]
    if let mode { headers.append(("X-Incus-mode", mode)) }
    let line = ProgressLine(isQuiet: false)
    defer { line.clear() }
    let handle = Unchecked(file)
    let sent = Tally()
    try await client.upload(path, query: query(target), headers: headers) {
      let bytes = try handle.value.read(upToCount: 128 << 10) ?? Data()
      guard !bytes.isEmpty else { return nil }
      let done = sent.add(Int64(bytes.count))
      line.show(VolaryAPI.Progress(phase: "writing \(target)", done: done, total: length, unit: "bytes"))
      return ByteBuffer(bytes: bytes)
    }
  }

  private func make(
    _ type: String, _ target: String, headers: [(String, String)], body: String = "", _ client: APIClient
  ) async throws {
    _ = try await client.send(
      "POST", path, query: query(target), headers: headers + [("X-Incus-type", type)], body: Data(body.utf8))
  }

  /// Makes a folder with all above it that are missing.
  func makeFolders(_ folder: String, _ client: APIClient) async throws {
    var whole = ""
    for part in folder.split(separator: "/") {
      whole += "/\(part)"
      if try await !isFolder(whole, client) { try await make("directory", whole, headers: headers, client) }
    }
  }

  func isFolder(_ file: String, _ client: APIClient) async throws -> Bool {
    let reply = try await client.raw("HEAD", path, query: query(file))
    return reply.status == 200 && reply.header("X-Incus-type") == "directory"
  }

  // MARK: - From the instance

  func pull(_ source: String, to target: String, recursive: Bool, _ client: APIClient) async throws {
    let what = try await client.raw("HEAD", path, query: query(source))
    // A HEAD has no words about what is wrong.
    if what.status >= 400 { _ = try await client.send("GET", path, query: query(source)) }
    switch what.header("X-Incus-type") {
    case "directory":
      guard recursive else {
        throw VolaryError(
          .usage, "\(instance)\(source) is a folder", wayOut: "give --recursive for all that is in it")
      }
      // A guest could name a link and then a folder by one name, and have us write behind the link.
      var status = stat()
      if lstat(target, &status) == 0, status.st_mode & S_IFMT != S_IFDIR {
        throw VolaryError(.conflict, "\(target) is there already, and is no folder")
      }
      try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
      let names: [String] = try await client.get(path, query: query(source))
      for name in names {
        // The guest says what its files are called: one that would lead elsewhere here is none.
        guard !name.contains("/"), name != "..", name != "." else { continue }
        try await pull("\(source)/\(name)", to: "\(target)/\(name)", recursive: true, client)
      }
    case "symlink" where recursive:
      let link = String(
        decoding: try await client.send("GET", path, query: query(source)).body, as: UTF8.self)
      try? FileManager.default.removeItem(atPath: target)
      try FileManager.default.createSymbolicLink(atPath: target, withDestinationPath: link)
    case "symlink":
      // What it leads to is what is wanted.
      let link = String(
        decoding: try await client.send("GET", path, query: query(source)).body, as: UTF8.self)
      let folder = (source as NSString).deletingLastPathComponent
      let next = link.hasPrefix("/") ? link : (folder as NSString).appendingPathComponent(link)
      try await pull((next as NSString).standardizingPath, to: target, recursive: false, client)
    default: try await download(source, what, to: target, client)
    }
  }

  private func download(
    _ source: String, _ what: APIReply, to target: String, _ client: APIClient
  ) async throws {
    let file: FileHandle
    if target == "-" {
      file = .standardOutput
    } else {
      // A link that lies there, which the guest may have had us make, is not followed.
      let raw = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard raw >= 0 else { throw VolaryError("cannot write \(target): \(String(cString: strerror(errno)))") }
      file = FileHandle(fileDescriptor: raw, closeOnDealloc: true)
      let mode = what.header("X-Incus-mode").flatMap { mode_t($0, radix: 8) } ?? 0o644
      // Rights that would make it run as somebody else are not taken over.
      fchmod(raw, mode & 0o777)
    }
    let total = what.header("X-Incus-size").flatMap { Int64($0) }
    let line = ProgressLine(isQuiet: target == "-")
    defer { line.clear() }
    let (handle, got) = (Unchecked(file), Tally())
    try await client.download(path, query: query(source)) { bytes in
      do { try handle.value.write(contentsOf: Data(bytes.readableBytesView)) } catch {
        throw VolaryError("cannot write \(target): \(error.localizedDescription)")
      }
      let done = got.add(Int64(bytes.readableBytes))
      line.show(VolaryAPI.Progress(phase: "reading \(source)", done: done, total: total, unit: "bytes"))
    }
  }
}

/// Bytes that have gone.
final class Tally: Sendable {
  private let count = Atomic<Int64>(0)

  func add(_ more: Int64) -> Int64 { count.add(more, ordering: .relaxed).newValue }
}

/// A handle that one transfer after another uses.
struct Unchecked<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}
