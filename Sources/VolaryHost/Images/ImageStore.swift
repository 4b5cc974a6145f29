package import Foundation
import Glibc
package import HostSystem

/// The images kept on this host: a folder each, with `image.json` beside the files.
///
/// An image appears by one rename and disappears by one, so a reader never sees half of it.
package struct ImageStore: Sendable {
  static let recordFile = "image.json"
  package static let kernelFile = "kernel"
  package static let initrdFile = "initrd"
  package static let diskFile = "disk.raw"
  /// What folders that are no images yet, or no longer, begin with.
  private static let hidden = "."
  private static let ownAdvice = "set VOLARY_DATA to a folder of your own"
  static let roomAdvice = "make room there, or set VOLARY_DATA to a folder on another disk"

  /// The folder that holds the images.
  package let folder: URL

  package init(data: URL = DataDirectory.path()) {
    folder = data.appendingPathComponent("images", isDirectory: true)
  }

  // MARK: - Reading

  /// Throws `denied` for a store that is there, or may be, and cannot be looked into.
  package func checkAccess() throws(ImageError) {
    guard let listing = opendir(folder.path) else {
      let error = Errno(errno)
      if error == .notFound { return }
      throw ImageError(
        VolaryError.Code(error) == .denied ? .denied : .failed,
        "cannot read the image store \(folder.path): \(error); \(Self.ownAdvice)")
    }
    closedir(listing)
  }

  /// Every image, by name, then architecture. What cannot be read is left out.
  package func list() -> [StoredImage] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { !$0.hasPrefix(Self.hidden) }.compactMap { name in
      try? load(folder.appendingPathComponent(name, isDirectory: true))
    }.sorted { a, b in
      (a.record.name, a.record.architecture.rawValue) < (b.record.name, b.record.architecture.rawValue)
    }
  }

  /// The image of that name. Throws `notFound` when the store has none.
  package func find(_ name: ImageName, _ architecture: GuestArchitecture) throws(ImageError) -> StoredImage {
    try checkAccess()
    let folder = folder(of: name, architecture)
    guard FileManager.default.fileExists(atPath: folder.path) else {
      let other = list().first { $0.record.name == name.description }?.record.architecture.rawValue
      let recipe = try? DebianRelease.find(name, architecture)
      let hint =
        recipe.map { "make it with 'volary image build \($0.imageName)'" }
        ?? other.map { "it is there for \($0)" }
        ?? "'volary image list' shows those that are, 'volary image build' makes one"
      throw ImageError(.notFound, "there is no image \(name) for \(architecture.rawValue): \(hint)")
    }
    do {
      let image = try load(folder)
      try checkFiles(of: image)
      return image
    } catch {
      throw ImageError(
        "the image in \(folder.path) cannot be used: \(error.localizedDescription); "
          + "remove it with 'volary image rm \(name)' and make it again")
    }
  }

  /// The architecture of the image of that name; of several, the one that runs best on this host.
  package func architecture(of name: ImageName) -> GuestArchitecture? {
    let present = GuestArchitecture.allCases.filter {
      FileManager.default.fileExists(
        atPath: folder(of: name, $0).appendingPathComponent(Self.recordFile).path)
    }
    guard present.count > 1 else { return present.first }
    return present.contains(.usual) ? .usual : present.first
  }

  func folder(of name: ImageName, _ architecture: GuestArchitecture) -> URL {
    folder.appendingPathComponent(name.folderName(architecture), isDirectory: true)
  }

  private func load(_ folder: URL) throws -> StoredImage {
    let file = folder.appendingPathComponent(Self.recordFile)
    // Foundation looks at the byte behind a bracket that is too deep, and traps where there is none.
    let json = try Data(contentsOf: file) + [UInt8(ascii: "\n")]
    let record = try ImageRecord.decoder.decode(ImageRecord.self, from: json)
    guard record.version <= ImageRecord.currentVersion else {
      throw ImageError("it was made by a newer Volary (version \(record.version) of its record)")
    }
    return StoredImage(record: record, folder: folder)
  }

  /// Throws for a file that is gone or has not the size it was stored with: a guest would fail on it in
  /// ways that do not say so.
  private func checkFiles(of image: StoredImage) throws(ImageError) {
    let record = image.record
    let files = [
      (image.kernel, record.kernelSize), (image.initrd, record.initrdSize), (image.disk, record.diskSize),
    ]
    for case (let file?, let size?) in files {
      guard let length = Self.sizes(of: file)?.length else {
        throw ImageError("its \(file.lastPathComponent) is missing")
      }
      if length != size {
        throw ImageError("its \(file.lastPathComponent) has \(length) bytes instead of \(size)")
      }
    }
  }

  // MARK: - Changing

  /// Takes the store's lock, which one program at a time holds; it goes with the value or the process.
  ///
  /// - Parameter waiting: called once when another program holds it, before waiting for it.
  package func lock(waiting: () -> Void) throws(ImageError) -> Descriptor {
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      if Self.tellsOfFullDisk(error) { throw full }
      let reason = Self.systemError(under: error)?.description ?? error.localizedDescription
      throw ImageError(.denied, "cannot make the folder \(folder.path): \(reason); \(Self.ownAdvice)")
    }
    let path = folder.appendingPathComponent(".lock").path
    do {
      let lock = try Descriptor.open(path, O_RDWR | O_CREAT, mode: 0o600)
      do {
        _ = try retrying { Int(flock(lock.raw, LOCK_EX | LOCK_NB)) }
      } catch Errno.again {
        waiting()
        _ = try retrying { Int(flock(lock.raw, LOCK_EX)) }
      }
      return lock
    } catch {
      if error == .noSpace { throw full }
      throw ImageError(.denied, "cannot lock the image store by \(path): \(error); \(Self.ownAdvice)")
    }
  }

  /// Removes what interrupted builds have left, and says whether nothing is left now: a program that
  /// has just been ended can write a last file meanwhile. Only for a holder of the lock.
  @discardableResult
  package func removeLeftovers() -> Bool {
    func leftovers() -> [String] {
      ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter {
        $0.hasPrefix(".new-") || $0.hasPrefix(".old-")
      }
    }
    for name in leftovers() { Self.removeTree(folder.appendingPathComponent(name, isDirectory: true)) }
    return leftovers().isEmpty
  }

  /// Makes an empty folder in the store to prepare an image in. Only for a holder of the lock.
  ///
  /// Throws when its file system has less than `room` bytes to give.
  package func makeStaging(room: Int64) throws(ImageError) -> URL {
    let staging = folder.appendingPathComponent(".new-\(getpid())", isDirectory: true)
    do {
      try FileManager.default.createDirectory(at: staging, withIntermediateDirectories: false)
    } catch {
      if Self.tellsOfFullDisk(error) { throw full }
      throw ImageError(.denied, "cannot make the folder \(staging.path): \(error.localizedDescription)")
    }
    let free = Self.freeBytes(at: staging)
    guard free >= room else {
      Self.removeTree(staging)
      throw ImageError(
        "\(folder.path) has \(ByteCount.text(free)) free, and \(ByteCount.text(room)) are needed: \(Self.roomAdvice)"
      )
    }
    return staging
  }

  /// Prepares an image in an empty folder of the store and takes the folder away again, unless it became
  /// the image. What fails for want of room says so. Only for a holder of the lock.
  func withStaging<Result>(room: Int64, _ prepare: (URL) throws -> Result) throws -> Result {
    let staging = try makeStaging(room: room)
    defer { Self.removeTree(staging) }
    do { return try prepare(staging) } catch {
      Interruption.waitIfEnding()
      guard Self.isFull(staging) || Self.tellsOfFullDisk(error) else { throw error }
      throw full
    }
  }

  private var full: ImageError { ImageError("the disk of \(folder.path) is full: \(Self.roomAdvice)") }

  /// Whether the file system of a folder has next to nothing left to give, bytes or files.
  private static func isFull(_ folder: URL) -> Bool {
    var status = statvfs()
    guard statvfs(folder.path, &status) == 0 else { return false }
    // Some file systems count no files.
    return freeBytes(at: folder) < 1 << 20 || (status.f_files > 0 && status.f_favail == 0)
  }

  /// The system's number under an error of Foundation's.
  private static func systemError(under error: any Error) -> Errno? {
    let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    return cause.flatMap { $0.domain == NSPOSIXErrorDomain ? Errno(Int32($0.code)) : nil }
  }

  private static func tellsOfFullDisk(_ error: any Error) -> Bool {
    if (error as? CocoaError)?.code == .fileWriteOutOfSpace { return true }
    let words = (error as? ImageError)?.log ?? []
    // The C library's words, and apt's own before it begins to download.
    let signs = [Errno.noSpace.description, Errno(EDQUOT).description, "have enough free space"]
    return words.contains { word in signs.contains { word.contains($0) } }
  }

  /// Makes a prepared folder the image of the record's name, in the place of one that may be there.
  package func publish(_ staging: URL, as record: ImageRecord) throws -> StoredImage {
    let name = try ImageName(record.name)
    let target = folder(of: name, record.architecture)
    try ImageRecord.encoder.encode(record).write(to: staging.appendingPathComponent(Self.recordFile))
    let old = folder.appendingPathComponent(".old-\(getpid())", isDirectory: true)
    let replaces = rename(target.path, old.path) == 0
    guard rename(staging.path, target.path) == 0 else {
      let error = Errno(errno)
      if replaces { rename(old.path, target.path) }
      throw ImageError("cannot put the image in place as \(target.path): \(error)")
    }
    if replaces { Self.removeTree(old) }
    return StoredImage(record: record, folder: target)
  }

  /// Removes an image. Machines that run from it keep its files until they end.
  package func remove(_ name: ImageName, _ architecture: GuestArchitecture) throws(ImageError) {
    let target = folder(of: name, architecture)
    let old = folder.appendingPathComponent(".old-\(getpid())", isDirectory: true)
    guard rename(target.path, old.path) == 0 else {
      let error = Errno(errno)
      if error == .notFound { _ = try find(name, architecture) }
      throw ImageError(.denied, "cannot remove \(target.path): \(error)")
    }
    Self.removeTree(old)
  }

  // MARK: - Files

  /// Removes a folder whatever is in it; a guest's tree can hold folders that nobody may write to.
  static func removeTree(_ folder: URL) {
    let files = FileManager.default
    if (try? files.removeItem(at: folder)) != nil { return }
    for case let item as URL in files.enumerator(at: folder, includingPropertiesForKeys: nil) ?? .init() {
      var status = stat()
      if lstat(item.path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { chmod(item.path, 0o700) }
    }
    try? files.removeItem(at: folder)
  }

  /// Bytes that an ordinary user may still write on the file system of `folder`.
  static func freeBytes(at folder: URL) -> Int64 {
    var status = statvfs()
    guard statvfs(folder.path, &status) == 0 else { return .max }
    return Int64(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize))
  }

  /// A file's length and the bytes it takes on disk, which are fewer when it has holes.
  static func sizes(of file: URL) -> (length: Int64, stored: Int64)? {
    var status = stat()
    guard stat(file.path, &status) == 0 else { return nil }
    return (Int64(status.st_size), Int64(status.st_blocks) * 512)
  }
}
