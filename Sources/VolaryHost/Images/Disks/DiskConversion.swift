package import DiskImages
import Glibc
import HostSystem

/// Writes a disk as a file in some format.
package struct DiskConversion {
  package var format: DiskFormat
  /// Contents are packed, where the format can be either.
  package var isCompressed = false
  /// Takes the place of a file of that name.
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
    try NewFile.make(target, replaces: replaces) { new in
      try Self.write(
        source, to: new.descriptor, name: target, format: format, isCompressed: isCompressed,
        progress: progress)
    }
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
