package import DiskImages
import Glibc
import HostSystem

/// Writes a disk as a file in some format, or to a server's disk.
package struct DiskConversion {
  package var format: DiskFormat
  /// Contents are packed, where the format can be either.
  package var isCompressed = false
  /// Takes the place of a file of that name, or of what a server's disk holds.
  package var replaces = false

  package init(to format: DiskFormat) { self.format = format }

  /// Throws `usage` for what the format cannot be.
  package func check() throws(ImageError) {
    guard DiskImages.writableFormats.contains(format) else {
      throw ImageError(.usage, "\(format.rawValue) images are not written by this program")
    }
    // Stream-optimised images are packed always.
    if isCompressed, ![.vmdk, .qcow2].contains(format) {
      throw ImageError(
        .usage, "\(format.rawValue) images are not compressed: leave out -c, or take vmdk or qcow2")
    }
  }

  /// Copies the source. `progress` is told of bytes that are done and of all.
  package func run(
    _ source: DiskSource, to target: String, progress: @escaping (UInt64, UInt64) -> Void = { _, _ in }
  ) throws {
    try check()
    if NBDLocation.isMeant(by: target) { return try write(source, toServer: target, progress: progress) }
    try NewFile.make(target, replaces: replaces) { new in
      try Self.write(
        source, to: new.descriptor, name: target, format: format, isCompressed: isCompressed,
        progress: progress)
    }
  }

  /// Writes to a server's disk, which may be larger and then ends with zeroes.
  private func write(
    _ source: DiskSource, toServer target: String, progress: (UInt64, UInt64) -> Void
  ) throws(ImageError) {
    guard format == .raw else {
      throw ImageError(.usage, "\(target) is a server's disk, whose format is the server's: leave out -O")
    }
    let disk: NBDImage
    do throws(DiskImageError) {
      disk = try NBDImage(NBDLocation(target), readOnly: false)
    } catch {
      throw ImageError(disk: error)
    }
    guard disk.size >= source.disk.size else {
      throw ImageError(
        "\(target) has \(disk.size) bytes, and \(source.path) \(source.disk.size): make it larger")
    }
    let isEmpty = (try? Self.isZero(disk)) == true
    guard isEmpty || replaces else {
      throw ImageError(
        .conflict, "\(target) may hold something already: take another disk, or add --force")
    }
    let writer = DiskImageWriter(disk, isEmpty: isEmpty)
    do throws(Errno) {
      try writer.zero(at: source.disk.size, count: disk.size - source.disk.size)
    } catch {
      throw NewFile.failure(error, writing: target)
    }
    try Self.copy(source, to: writer, name: target, progress: progress)
  }

  /// Whether a disk is known to read as zero throughout.
  private static func isZero(_ disk: any DiskImage) throws(Errno) -> Bool {
    var position: UInt64 = 0
    while position < disk.size {
      let extent = try disk.extent(at: position, limit: disk.size)
      guard extent.content == .zero, extent.end > position else { return false }
      position = extent.end
    }
    return true
  }

  /// Writes a disk to a file that is open and empty.
  static func write(
    _ source: DiskSource, to descriptor: Descriptor, name: String, format: DiskFormat,
    isCompressed: Bool = false,
    progress: (UInt64, UInt64) -> Void
  ) throws {
    NewFile.bearFileLimits()
    var options = DiskImages.WriterOptions()
    options.isCompressed = isCompressed
    options.name = String(name.split(separator: "/").last ?? "disk.vmdk")
    let writer: any ImageWriter
    do throws(DiskImageError) {
      writer = try DiskImages.writer(
        format: format, file: HostFile(descriptor, name: name, readOnly: false), size: source.disk.size,
        options: options)
    } catch {
      if case .system(_, _, let number) = error { throw NewFile.failure(number, writing: name) }
      throw ImageError(disk: error)
    }
    try copy(source, to: writer, name: name, progress: progress)
  }

  static func copy(
    _ source: DiskSource, to writer: any ImageWriter, name: String, progress: (UInt64, UInt64) -> Void
  ) throws(ImageError) {
    do {
      try DiskCopy.run(from: source.disk, to: writer) { done, total in
        progress(done, total)
        return true
      }
    } catch {
      switch error {
      case .writing(let number): throw NewFile.failure(number, writing: name)
      case .reading(let number):
        // What a format's tables say wrongly is an error of the read.
        throw ImageError(
          .init(number),
          "cannot read \(source.path): \(number == .io && source.format != .raw ? "it is damaged, or its disk is" : number.description)"
        )
      case .cancelled: throw ImageError("cancelled")
      }
    }
  }
}
