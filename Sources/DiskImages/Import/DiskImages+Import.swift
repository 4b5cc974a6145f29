internal import HostSystem

extension DiskImages {
  /// Opens an image of another system's format, which is only read. Layers over others are refused, so that there
  /// is never a `base`.
  static func openImport(
    format: DiskFormat, file: any ImageFile, base: (any DiskImage)? = nil
  ) throws(DiskImageError) -> any DiskImage {
    guard base == nil else {
      throw .unsupported(name: file.name, format: format, feature: "a base, by which it would be a layer")
    }
    switch format {
    case .vmdk: return try VMDKImage(file)
    case .vdi: return try VDIImage(file)
    case .vhd: return try VHDImage(file)
    case .vhdx: return try VHDXImage(file)
    case .raw, .overlay, .qcow2:
      throw .unsupported(name: file.name, format: format, feature: "a way of its own to be opened")
    }
  }

  /// As ``open(format:descriptor:name:readOnly:base:)``, for an image that is only read and lies in a part of a file
  /// or elsewhere.
  package static func open(
    format: DiskFormat, file: any ImageFile, base: (any DiskImage)? = nil
  ) throws(DiskImageError) -> any DiskImage {
    switch format {
    case .raw: try RawImage(file)
    case .overlay: try OverlayImage(file, base: base)
    case .qcow2: try QCOW2Image(file, backing: base)
    case .vmdk, .vdi, .vhd, .vhdx: try openImport(format: format, file: file, base: base)
    }
  }
}
