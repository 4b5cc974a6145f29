package import DiskImages
internal import Glibc
package import HostSystem

/// A backup: a tar archive whose first file, `index.yaml`, says what the others are. What it says is the daemon's; here it
/// is bytes, and the names and sizes of the others.
package enum BackupArchive {
  package static let indexName = "index.yaml"
  /// Bytes of an index that is read.
  package static let longestIndex = 4 << 20

  /// A file in the archive.
  package struct Member: Equatable, Sendable {
    package let name: String
    /// Bytes.
    package let size: UInt64

    package init(name: String, size: UInt64) {
      self.name = name
      self.size = size
    }
  }

  /// Bytes of an archive that is not packed.
  package static func byteCount(of members: [Member]) -> UInt64? {
    let block = TarArchive.blockSize
    return members.reduce(2 * block as UInt64?) { sum, member in
      guard let sum, member.size <= 1 << 62 else { return nil }
      let (whole, overflows) = sum.addingReportingOverflow(block + (member.size + block - 1) / block * block)
      return overflows ? nil : whole
    }
  }
}

/// Writes a backup.
package struct BackupWriter {
  package enum Content {
    case bytes([UInt8])
    /// A file that nobody writes meanwhile.
    case file(Descriptor)
    case disk(StreamedQCOW2)
  }

  private let path: String
  private let room: HostRoom
  private let sink: PackingSink
  private let file: HostFile
  private let time: UInt64
  /// Told of bytes before they are packed; says whether to go on.
  private let progress: (UInt64) -> Bool

  /// Makes the file; there is none of that name.
  package init(
    _ path: String, _ compression: ArchiveCompression, room: HostRoom, time: UInt64,
    progress: @escaping (UInt64) -> Bool
  ) throws(VolaryError) {
    (self.path, self.room, self.time, self.progress) = (path, room, time, progress)
    do {
      let descriptor = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      file = try HostFile(descriptor, name: path, readOnly: false)
      sink = try PackingSink(RoomSink(FileSink(file), room), compression)
    } catch let error as Errno { throw Self.failure(error, path, room) } catch {
      throw VolaryError("cannot write \(path): \(error)")
    }
  }

  /// Writes one file of the archive; `size` is its bytes.
  package func add(_ name: String, size: UInt64, _ content: Content) throws(VolaryError) {
    do {
      try sink.append(TarHeader(name: name, size: size, time: time).bytes)
      switch content {
      case .bytes(let bytes): try sink.append(bytes)
      case .file(let file): try copy(file, size)
      case .disk(let disk): try disk.write(to: sink, progress: progress)
      }
      let rest = Int(size % TarArchive.blockSize)
      if rest > 0 { try sink.append([UInt8](repeating: 0, count: Int(TarArchive.blockSize) - rest)) }
    } catch let error as Errno { throw Self.failure(error, path, room) } catch let error
      as DiskCopy.Failure
    {
      switch error {
      case .writing(let number): throw Self.failure(number, path, room)
      case .reading(let number): throw VolaryError("a disk cannot be read: \(number)")
      case .cancelled: throw VolaryError("cancelled")
      }
    } catch let error as VolaryError { throw error } catch {
      throw VolaryError("cannot write \(path): \(error)")
    }
  }

  /// Completes the archive, which is on stable storage then. Returns its bytes.
  package func finish() throws(VolaryError) -> UInt64 {
    do throws(Errno) {
      try sink.append([UInt8](repeating: 0, count: 2 * Int(TarArchive.blockSize)))
      try sink.finish()
      try file.sync()
      return try file.size()
    } catch { throw Self.failure(error, path, room) }
  }

  private func copy(_ source: Descriptor, _ size: UInt64) throws {
    var place: UInt64 = 0
    while place < size {
      let bytes = try source.read(Int(min(1 << 20, size - place)), at: place)
      if bytes.isEmpty { throw VolaryError("a file of the instance was cut short") }
      try sink.append(bytes)
      place += UInt64(bytes.count)
      if !progress(UInt64(bytes.count)) { throw VolaryError("cancelled") }
    }
  }

  static func failure(_ error: Errno, _ path: String, _ room: HostRoom) -> VolaryError {
    if error == .noSpace || error == Errno(EDQUOT) {
      do { try room.check(0) } catch { return error }
      return VolaryError("the disk of \(path) is full", wayOut: ImageStore.roomAdvice)
    }
    return VolaryError(.init(error), "cannot write \(path): \(error)")
  }
}

/// Leaves room where it writes.
final class RoomSink: ByteSink {
  private let target: any ByteSink
  private let room: HostRoom

  init(_ target: any ByteSink, _ room: HostRoom) {
    (self.target, self.room) = (target, room)
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws(Errno) {
    do { try room.note(bytes.count) } catch { throw .noSpace }
    try target.append(bytes)
  }
}
