internal import DiskImages
internal import Glibc
internal import HostSystem

/// A backup that somebody brought, of which nothing is believed: it is unpacked no further than its index says, and each
/// file has the name and the size that it says.
package struct BackupReader: Sendable {
  /// What messages call it: where it lies is nobody's affair.
  private static let name = "the backup"

  private let members: [String: FilePart]

  /// Reads the index of a backup.
  package static func index(of path: String) throws(VolaryError) -> [UInt8] {
    let (file, compression) = try open(path)
    var head: [UInt8] = []
    let block = Int(TarArchive.blockSize)
    var wanted = block
    var failure: VolaryError?
    do throws(Unpacking.Failure) {
      try Unpacking.run(file, compression) { bytes in
        var rest = bytes[...]
        while head.count < wanted, !rest.isEmpty {
          let part = rest.prefix(wanted - head.count)
          head += part
          rest = rest.dropFirst(part.count)
          guard wanted == block, head.count == block else { continue }
          let header = TarHeader(bytes: head)
          guard header.hasSoundChecksum, header.name.elementsEqual(BackupArchive.indexName.utf8),
            header.type == UInt8(ascii: "0") || header.type == 0, let size = header.size
          else {
            failure = Self.foreign
            return false
          }
          guard size > 0, size <= BackupArchive.longestIndex else {
            failure = VolaryError(.usage, "this is no sound backup: its index has \(size) bytes")
            return false
          }
          wanted += Int(size)
        }
        return head.count < wanted
      }
    } catch {
      if let failure { throw failure }
      guard head.count >= wanted, wanted > block else { throw Self.failure(error) }
    }
    guard head.count >= wanted, wanted > block else { throw failure ?? Self.foreign }
    return Array(head[block..<wanted])
  }

  /// Unpacks a backup into `other`, where it is packed, as far as its index says; `index` are the bytes of that, and
  /// `members` the files that it names. `progress` is told of bytes that were unpacked, and says whether to go on.
  package init(
    _ path: String, index: [UInt8], _ members: [BackupArchive.Member], unpackingTo other: String,
    room: HostRoom,
    progress: (UInt64) -> Bool
  ) throws(VolaryError) {
    let all = [BackupArchive.Member(name: BackupArchive.indexName, size: UInt64(index.count))] + members
    guard let size = BackupArchive.byteCount(of: all) else {
      throw VolaryError(.usage, "this is no sound backup: its index tells of more than there can be")
    }
    var (file, compression) = try Self.open(path)
    if compression != .none {
      try room.check(size)
      file = try Self.unpack(file, compression, to: other, size: size, room, progress)
    } else if (try? file.size()) != size {
      throw VolaryError(.usage, "the backup is damaged, or was cut short")
    }
    let archive: TarArchive
    do throws(ImageError) { archive = try TarArchive(file) } catch {
      throw VolaryError(.usage, error.message)
    }
    let found = archive.members.map { BackupArchive.Member(name: $0.name, size: (try? $0.file.size()) ?? 0) }
    guard found == all else {
      throw VolaryError(.usage, "this is no sound backup: its files are not those that its index tells of")
    }
    self.members = Dictionary(
      archive.members.map { ($0.name, $0.file) }, uniquingKeysWith: { first, _ in first })
  }

  /// A file of the archive.
  package func file(_ name: String) throws(VolaryError) -> FilePart {
    guard let file = members[name] else {
      throw VolaryError(.usage, "this is no sound backup: it has no \(name.prefix(100))")
    }
    return file
  }

  /// Writes a file of the archive to `path`, where there is none.
  package func unpack(_ name: String, to path: String, room: HostRoom) throws(VolaryError) {
    let source = try file(name)
    do throws(Errno) {
      let target = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      let size = try source.size()
      var place: UInt64 = 0
      while place < size {
        let bytes = try source.bytes(at: place, count: Int(min(1 << 20, size - place)))
        do { try room.note(bytes.count) } catch { throw .noSpace }
        try target.writeAll(bytes[...], at: place)
        place += UInt64(bytes.count)
      }
      try target.synchronize()
    } catch { throw BackupWriter.failure(error, path, room) }
  }

  // MARK: - Steps

  private static var foreign: VolaryError {
    VolaryError(
      .usage, "this is no backup of Volary's: it does not begin with an \(BackupArchive.indexName)",
      wayOut: "disks of other systems come in with `volary image import`")
  }

  private static func failure(_ error: Unpacking.Failure) -> VolaryError {
    switch error {
    case .reading(let number): VolaryError(.init(number), "the backup cannot be read: \(number)")
    case .damaged: VolaryError(.usage, "the backup is damaged, or was cut short")
    case .stopped: VolaryError("cancelled")
    }
  }

  private static func open(_ path: String) throws(VolaryError) -> (HostFile, ArchiveCompression) {
    do {
      let file = try HostFile(try Descriptor.open(path, O_RDONLY), name: name, readOnly: true)
      guard let compression = try Unpacking.compression(of: file) else { throw foreign }
      return (file, compression)
    } catch let error as VolaryError { throw error } catch {
      throw VolaryError("the backup cannot be read: \(error)")
    }
  }

  private static func unpack(
    _ file: HostFile, _ compression: ArchiveCompression, to path: String, size: UInt64, _ room: HostRoom,
    _ progress: (UInt64) -> Bool
  ) throws(VolaryError) -> HostFile {
    var (place, failure): (UInt64, VolaryError?) = (0, nil)
    let new: HostFile
    do {
      let descriptor = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      new = try HostFile(descriptor, name: name, readOnly: false)
      // What is zero is left a hole.
      try new.resize(to: size)
    } catch { throw VolaryError("cannot write \(path): \(error)") }
    do throws(Unpacking.Failure) {
      try Unpacking.run(file, compression) { bytes in
        guard UInt64(bytes.count) <= size - place else {
          failure = VolaryError(.usage, "this is no sound backup: it holds more than its index tells of")
          return false
        }
        do throws(VolaryError) {
          try NonzeroWriter.write(bytes, to: new, path, at: place, room)
        } catch {
          failure = error
          return false
        }
        place += UInt64(bytes.count)
        return progress(UInt64(bytes.count))
      }
    } catch { throw failure ?? Self.failure(error) }
    guard place == size else { throw VolaryError(.usage, "the backup is damaged, or was cut short") }
    return new
  }
}

/// Writes what is not zero to a file of zeros.
enum NonzeroWriter {
  static func write(
    _ bytes: UnsafeRawBufferPointer, to file: HostFile, _ path: String, at offset: UInt64, _ room: HostRoom
  ) throws(VolaryError) {
    do throws(Errno) {
      try ZeroSearch.runs(of: bytes, at: offset) { (isZero, range) throws(Errno) in
        if isZero { return }
        do { try room.note(range.count) } catch { throw .noSpace }
        try file.write(
          at: offset + UInt64(range.lowerBound), from: UnsafeRawBufferPointer(rebasing: bytes[range]))
      }
    } catch { throw BackupWriter.failure(error, path, room) }
  }
}
