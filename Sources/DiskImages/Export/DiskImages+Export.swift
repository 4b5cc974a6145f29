internal import Glibc
internal import HostSystem

extension DiskImages {
  /// How an image is to be written, beside its format.
  package struct WriterOptions: Sendable {
    /// All space of the disk is in the file from the beginning (VHD).
    package var isFixed = false
    /// Contents are packed, where the format can be either (qcow2).
    package var isCompressed = false
    /// What the image calls its own file (VMDK).
    package var name = "disk.vmdk"
    /// Random bytes, of which formats make the identifiers that they want: 48.
    package var identity = (0..<48).map { _ in UInt8.random(in: 0...255) }

    package init() {}
  }

  /// Formats that ``writer(format:file:size:options:)`` knows.
  package static let writableFormats: [DiskFormat] = [.raw, .vmdk, .vdi, .vhd, .vhdx]

  /// A writer of an image to a file, whose contents are lost. `size` is bytes of the disk, a multiple of 512.
  package static func writer(
    format: DiskFormat, file: any ImageFile, size: UInt64, options: WriterOptions = WriterOptions()
  ) throws(DiskImageError) -> any ImageWriter {
    guard size > 0, size % sectorSize == 0 else {
      throw .badSize(name: file.name, size: size, reason: "ask for a multiple of 512, greater than zero")
    }
    let most: UInt64? =
      switch format {
      case .vhd: VHDWriter.mostBytes
      case .vdi: VDIWriter.mostBytes
      case .vhdx: VHDXWriter.mostBytes
      case .vmdk: StreamOptimisedWriter.mostBytes
      case .raw, .overlay, .qcow2: nil
      }
    if let most, size > most {
      throw .badSize(
        name: file.name, size: size, reason: "\(format.rawValue) images have at most \(most) bytes")
    }
    var identity = options.identity
    identity += [UInt8](repeating: 0, count: max(0, 48 - identity.count))
    do {
      switch format {
      case .raw: return try RawWriter(file, size: size)
      case .vmdk:
        try file.resize(to: 0)
        return try StreamOptimisedWriter(FileSink(file), size: size, name: options.name)
      case .vdi: return try VDIWriter(file, size: size, identity: Array(identity[..<32]))
      case .vhd where options.isFixed:
        return try FixedVHDWriter(file, size: size, identity: Array(identity[..<16]))
      case .vhd: return try VHDWriter(file, size: size, identity: Array(identity[..<16]))
      case .vhdx: return try VHDXWriter(file, size: size, identity: Array(identity[..<48]))
      case .overlay, .qcow2: break
      }
    } catch {
      throw .system(name: file.name, operation: "write", error)
    }
    throw .unsupported(name: file.name, format: format, feature: "a way to be written")
  }
}
