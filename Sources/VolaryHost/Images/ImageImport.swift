package import Foundation

/// Takes files that were made elsewhere into the store as an image.
package struct ImageImport {
  package let store: ImageStore
  let name: ImageName
  package let architecture: GuestArchitecture
  /// A raw `Image`.
  let kernel: URL
  let initrd: URL?
  /// A raw disk: the format is stated by whoever imports it, and never guessed.
  let disk: URL?
  let replaces: Bool

  package init(
    store: ImageStore, name: ImageName, architecture: GuestArchitecture, kernel: URL, initrd: URL? = nil,
    disk: URL? = nil, replaces: Bool = false
  ) {
    self.store = store
    self.name = name
    self.architecture = architecture
    self.kernel = kernel
    self.initrd = initrd
    self.disk = disk
    self.replaces = replaces
  }

  /// Copies the files, sharing blocks and keeping holes where the file system can.
  package func run(waiting: () -> Void = {}) throws -> StoredImage {
    try KernelImage.check(kernel, is: architecture)
    let files = [
      (kernel, ImageStore.kernelFile), (initrd, ImageStore.initrdFile), (disk, ImageStore.diskFile),
    ].compactMap { file, name in file.map { (file: $0, name: name) } }
    var room: Int64 = 1 << 20
    for (file, _) in files { room += try Self.size(of: file).stored }
    if let disk { try Self.checkDisk(disk) }

    let lock = try store.lock(waiting: waiting)
    defer { withExtendedLifetime(lock) {} }
    store.removeLeftovers()
    guard replaces || !FileManager.default.fileExists(atPath: store.folder(of: name, architecture).path)
    else {
      throw ImageError(
        .conflict,
        "there is an image \(name) for \(architecture.rawValue) already: take another name, or add --force")
    }
    return try store.withStaging(room: room) { staging in
      for (file, name) in files {
        try HostTool.run(
          "cp",
          ["--reflink=auto", "--sparse=always", "--", file.path, staging.appendingPathComponent(name).path],
          doing: "copying \(file.path)")
      }
      return try store.publish(staging, as: try record(of: staging, files.map(\.name)))
    }
  }

  private func record(of staging: URL, _ names: [String]) throws -> ImageRecord {
    var lengths: [String: Int64] = [:]
    var stored: Int64 = 0
    for name in names {
      let size = try Self.size(of: staging.appendingPathComponent(name))
      lengths[name] = size.length
      stored += size.stored
    }
    return ImageRecord(
      name: name.description, architecture: architecture, createdAt: Date(), source: "imported",
      kernelSize: lengths[ImageStore.kernelFile], initrdSize: lengths[ImageStore.initrdFile],
      diskSize: lengths[ImageStore.diskFile], storedSize: stored)
  }

  private static func size(of file: URL) throws(ImageError) -> (length: Int64, stored: Int64) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), !isFolder.boolValue,
      FileManager.default.isReadableFile(atPath: file.path), let sizes = ImageStore.sizes(of: file)
    else {
      throw ImageError(.notFound, "\(file.path) is no file that can be read")
    }
    return sizes
  }

  /// A raw disk has whole sectors; one that starts as another format does was surely not meant.
  private static func checkDisk(_ disk: URL) throws {
    let length = try size(of: disk).length
    guard length > 0, length.isMultiple(of: 512) else {
      throw ImageError("the disk \(disk.path) has \(length) bytes: a raw disk is a multiple of 512")
    }
    let handle = try FileHandle(forReadingFrom: disk)
    defer { try? handle.close() }
    if try handle.read(upToCount: 4) == Data("QFI\u{fb}".unicodeScalars.map { UInt8($0.value) }) {
      throw ImageError(
        "the disk \(disk.path) is in the qcow2 format: "
          + "convert it with 'qemu-img convert -O raw \(disk.path) disk.raw'")
    }
  }
}
