import DiskImages
import Foundation
import Glibc
import HostSystem

/// Takes a disk that was made elsewhere into the store, as an image that firmware starts.
package struct DiskImport {
  /// What is on the disk of an image, and which machine it was.
  package struct Machine {
    package var disk: DiskSource
    /// In words, for lists.
    package var source: String
    package var firmware: OVFDescriptor.Firmware?
    package var cpus: Int?
    package var memory: UInt64?

    /// A disk by itself.
    package init(_ disk: DiskSource) {
      self.disk = disk
      source = "imported (\(disk.format.rawValue))"
    }

    /// The machine of a package, which is to have one disk. Its digests are checked.
    package init(_ package: OVFPackage, path: String) throws(ImageError) {
      let descriptor = package.descriptor
      guard descriptor.disks.count == 1 else {
        throw ImageError(
          "the machine in \(path) has \(descriptor.disks.count) disks, and an image has one: unpack it ('tar -xf' for "
            + "an OVA) and import the disk that it starts from")
      }
      try package.checkManifest()
      guard let disk = try package.open(descriptor.disks[0]) else {
        throw ImageError("the disk of the machine in \(path) is empty")
      }
      self.disk = disk
      source = "imported (OVF)"
      firmware = descriptor.firmware
      cpus = descriptor.cpus
      memory = descriptor.memory
    }
  }

  package let store: ImageStore
  let name: ImageName
  let architecture: GuestArchitecture
  let replaces: Bool

  package init(
    store: ImageStore, name: ImageName, architecture: GuestArchitecture, replaces: Bool
  ) throws(ImageError) {
    guard architecture == .amd64 else {
      throw ImageError(
        .usage,
        "only amd64 machines start from a disk by itself: give an image for \(architecture.rawValue) a kernel"
      )
    }
    self.store = store
    self.name = name
    self.architecture = architecture
    self.replaces = replaces
  }

  /// Copies the disk into the store. `progress` is told of bytes that are done and of all.
  package func run(
    _ machine: Machine, waiting: () -> Void = {}, progress: (UInt64, UInt64) -> Void = { _, _ in }
  ) throws -> StoredImage {
    let lock = try store.lock(waiting: waiting)
    defer { withExtendedLifetime(lock) {} }
    store.removeLeftovers()
    guard replaces || !FileManager.default.fileExists(atPath: store.folder(of: name, architecture).path)
    else {
      throw ImageError(
        .conflict,
        "there is an image \(name) for \(architecture.rawValue) already: take another name, or add --force")
    }
    let store = store
    let stop = Interruption.watch { store.removeLeftovers() }
    defer { stop.cancel() }
    return try store.withStaging(room: 1 << 20 + (try machine.disk.dataBytes())) { staging in
      let file = staging.appendingPathComponent(ImageStore.diskFile)
      let descriptor: Descriptor
      do throws(Errno) {
        descriptor = try Descriptor.open(file.path, O_RDWR | O_CREAT | O_EXCL)
      } catch { throw NewFile.failure(error, writing: file.path) }
      try DiskConversion.write(
        machine.disk, to: descriptor, name: file.path, format: .raw, progress: progress)
      var record = ImageRecord(
        name: name.description, architecture: architecture, createdAt: Date(), source: machine.source,
        kernelSize: nil, diskSize: try descriptor.size(), storedSize: try descriptor.storedBytes())
      record.version = ImageRecord.currentVersion
      record.firmware = "uefi"
      record.cpus = machine.cpus
      record.memory = machine.memory.map { Int64(clamping: $0) }
      return try store.publish(staging, as: record)
    }
  }
}

extension DiskSource {
  /// How many extents are asked for at most.
  private static let mostExtents = 1 << 20

  /// Bytes of the disk that are not known to be zero; of one in very many pieces, the file's.
  package func dataBytes() throws(ImageError) -> Int64 {
    var position: UInt64 = 0
    var count: UInt64 = 0
    do throws(Errno) {
      for _ in 0..<Self.mostExtents {
        guard position < disk.size else { return Int64(clamping: count) }
        let extent = try disk.extent(at: position, limit: disk.size)
        guard extent.end > position else { throw .io }
        if extent.content == .data { count += extent.end - position }
        position = extent.end
      }
    } catch {
      throw ImageError("cannot read the tables of \(path): \(error)")
    }
    return length
  }
}
