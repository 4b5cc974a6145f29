internal import DiskImages
internal import Foundation
internal import Glibc
internal import HostSystem
package import MachineControl

/// What is known of a mirrored disk beside its two files: a folder with the pair's metadata, and with the identities of
/// the files by which the metadata know them. It lies on neither side, so that it outlives either.
package struct MirrorFolder: Equatable, Sendable {
  /// What a folder says.
  package struct Facts: Equatable, Sendable {
    /// By their places.
    package let sides: [MirrorStatus.Side]
    package let files: [File]
    /// Bytes of regions in which the sides may differ.
    package let marked: UInt64

    /// The places of those that have everything.
    package var current: Set<Int> { Set(sides.indices.filter { sides[$0] == .current }) }
    /// Whether both sides hold the same for certain.
    package var isSettled: Bool { marked == 0 && current.count == 2 }
  }

  /// A side's file, and how the metadata know it.
  package struct File: Equatable, Sendable {
    package var high: UInt64
    package var low: UInt64
    /// The file's number in its file system (st_ino); 0 for one that has yet to be made, empty. A file that took its
    /// place is another, whatever it holds.
    package var number: UInt64

    /// Whether it is the one at a path.
    package func isThere(_ path: String) -> Bool { number != 0 && MirrorFolder.number(of: path) == number }
  }

  package let path: String

  package init(_ path: String) { self.path = path }

  package var metadata: String { path + "/metadata" }
  private var sides: String { path + "/sides" }

  package var isThere: Bool { access(metadata, F_OK) == 0 }

  fileprivate static func number(of path: String) -> UInt64 {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : 0
  }

  // MARK: - Making

  /// Makes the folder for two files that hold the same, of a disk of so many bytes. One that is not there is nil: put
  /// in later, it begins empty. On stable storage when this returns.
  package func make(size: UInt64, paths: [String], isThere: [Bool]) throws(VolaryError) {
    let files = zip(paths, isThere).map { path, isThere in
      Self.draw(number: isThere ? Self.number(of: path) : 0)
    }
    let parent = (path as NSString).deletingLastPathComponent
    for folder in [parent, path] where mkdir(folder, 0o700) != 0 && errno != EEXIST {
      throw VolaryError("cannot make the folder \(folder): \(Errno(errno))")
    }
    try write(files)
    do {
      let new = metadata + ".new"
      unlink(new)
      let file = try HostFile(
        try Descriptor.open(new, O_RDWR | O_CREAT | O_EXCL), name: metadata, readOnly: false)
      let labels = zip(zip(files, paths), isThere).map { side, isThere in
        MirrorImage.Label(
          identity: MirrorIdentity(high: side.0.high, low: side.0.low), name: side.1, isThere: isThere)
      }
      try MirrorImage.create(metadata: file, size: size, labels[0], labels[1])
      // Room for both copies: a full disk is not to take the right to write from guests whose disks are elsewhere.
      let length = try file.size()
      _ = posix_fallocate(try Descriptor.open(new, O_RDWR).raw, 0, off_t(clamping: length))
      guard rename(new, metadata) == 0 else { throw Errno(errno) }
      for folder in [path, parent] { try Descriptor.open(folder, O_RDONLY | O_DIRECTORY).synchronize() }
    } catch {
      throw VolaryError("cannot write \(metadata): \(error)")
    }
  }

  private static func draw(number: UInt64) -> File {
    File(high: .random(in: .min ... .max), low: .random(in: .min ... .max), number: number)
  }

  package func remove() { ImageStore.removeTree(URL(fileURLWithPath: path, isDirectory: true)) }

  // MARK: - Files

  /// Has a side begin anew: with an empty file that the metadata do not know, so that it gets everything.
  package func renew(_ place: Int) throws(VolaryError) { try change(place) { $0 = Self.draw(number: 0) } }

  /// Notes the file that was made for a side.
  package func note(_ place: Int, _ path: String) throws(VolaryError) {
    try change(place) { $0.number = Self.number(of: path) }
  }

  private func change(_ place: Int, _ body: (inout File) -> Void) throws(VolaryError) {
    var files = try readFiles()
    body(&files[place])
    try write(files)
  }

  private func write(_ files: [File]) throws(VolaryError) {
    let text = files.map { "\($0.high) \($0.low) \($0.number)\n" }.joined()
    do {
      let new = sides + ".new"
      unlink(new)
      let file = try Descriptor.open(new, O_RDWR | O_CREAT | O_EXCL)
      try file.writeAll(Array(text.utf8)[...], at: 0)
      try file.synchronize()
      guard rename(new, sides) == 0 else { throw Errno(errno) }
      try Descriptor.open(path, O_RDONLY | O_DIRECTORY).synchronize()
    } catch { throw VolaryError("cannot write \(sides): \(error)") }
  }

  private func readFiles() throws(VolaryError) -> [File] {
    let text = (try? String(contentsOfFile: sides, encoding: .utf8)) ?? ""
    let files = text.split(separator: "\n").compactMap { line -> File? in
      let numbers = line.split(separator: " ").compactMap { UInt64($0) }
      return numbers.count == 3 ? File(high: numbers[0], low: numbers[1], number: numbers[2]) : nil
    }
    guard files.count == 2 else { throw VolaryError("\(sides) does not name two files") }
    return files
  }

  // MARK: - Reading

  /// What the folder says, perhaps of a moment ago where a machine has the disk. Nil when there is none.
  package func read() throws(VolaryError) -> Facts? {
    guard isThere else { return nil }
    let files = try readFiles()
    do {
      let file = try Descriptor.open(metadata, O_RDONLY)
      let size = try file.size()
      // Two copies; more would be no metadata.
      guard size <= 1 << 20 else { throw Errno.invalid }
      let bytes = try file.read(Int(clamping: size), at: 0)
      let said = try MirrorImage.recorded(in: BytesFile(bytes, name: metadata))
      return Facts(
        sides: said.sides.map { $0.ofMachines }, files: files, marked: said.marked)
    } catch { throw VolaryError("cannot read \(metadata): \(error)") }
  }
}

extension MirrorState.Side {
  fileprivate var ofMachines: MirrorStatus.Side {
    switch self {
    case .current: .current
    case .rebuilding: .rebuilding
    case .missing: .missing
    }
  }
}

/// Bytes that are read as a file.
private final class BytesFile: ImageFile {
  let name: String
  let isReadOnly = true
  private let bytes: [UInt8]

  init(_ bytes: [UInt8], name: String) {
    self.bytes = bytes
    self.name = name
  }

  func size() throws(Errno) -> UInt64 { UInt64(bytes.count) }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard offset <= UInt64(bytes.count), buffer.count <= bytes.count - Int(offset) else { throw .io }
    buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
  }

  func resize(to size: UInt64) throws(Errno) { throw .invalid }
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) { throw .invalid }
  func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw .invalid }
  func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw .invalid }
  func sync() throws(Errno) {}
}
