internal import Glibc
internal import HTTPTypes
internal import HostSystem
internal import HummingbirdCore
internal import NIOCore
internal import VolaryAPI
internal import VolaryHost

/// A backup that came with a request, in a file that goes with this.
final class BackupUpload: Sendable {
  /// Bytes that are written at once.
  private static let piece = 4 << 20

  let path: String
  /// Where it is unpacked.
  var unpacked: String { path + ".tar" }
  let index: BackupIndex
  /// The index as it came.
  let indexBytes: [UInt8]

  private init(_ path: String, _ index: BackupIndex, _ bytes: [UInt8]) {
    self.path = path
    self.index = index
    indexBytes = bytes
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    unlink(path)
    unlink(path + ".tar")
  }

  /// Writes the body of a request to a file in `folder`, and reads what the backup says it is.
  static func take(_ body: RequestBody, length: UInt64?, in folder: String) async throws -> BackupUpload {
    let path = "\(folder)/\(LayerRecord.makeID()).import"
    do {
      let room = HostRoom(folder)
      let file = try await offThread("import") {
        try Instances.makeExports(folder)
        if let length { try room.check(length) }
        return try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
      }
      try await write(body, to: file, path, room)
      return try await offThread("import") {
        let bytes = try BackupReader.index(of: path)
        return BackupUpload(path, try BackupIndex(reading: bytes), bytes)
      }
    } catch {
      remove(path)
      throw APIError(host: error)
    }
  }

  private static func write(
    _ body: RequestBody, to file: Descriptor, _ path: String, _ room: HostRoom
  ) async throws {
    var waiting = ByteBuffer()
    var place: UInt64 = 0
    func flush() async throws {
      let (bytes, offset) = (Array(waiting.readableBytesView), place)
      try await offThread("import") {
        try room.note(bytes.count)
        do throws(Errno) { try file.writeAll(bytes[...], at: offset) } catch {
          throw VolaryError(
            error == .noSpace ? "the disk of \(path) is full" : "cannot write \(path): \(error)")
        }
      }
      place += UInt64(bytes.count)
      waiting.clear()
    }
    do {
      for try await part in body {
        waiting.writeImmutableBuffer(part)
        if waiting.readableBytes >= piece { try await flush() }
      }
    } catch let error where !(error is VolaryError || error is APIError || error is CancellationError) {
      throw APIError.invalid("the body of the request did not come whole")
    }
    if waiting.readableBytes > 0 { try await flush() }
  }
}
