internal import CHost
package import HostSystem

/// Opens and makes disk images. Files come as open descriptors, because the process of a machine may
/// open none; `name` is what messages call them.
package enum DiskImages {
  /// Opens an image in a stated format. The file stays locked while the descriptor lives.
  ///
  /// An overlay needs the `base` that it was made on, opened read-only, and a qcow2 image what it names; a raw image takes
  /// none.
  package static func open(
    format: DiskFormat, descriptor: Descriptor, name: String, readOnly: Bool, base: (any DiskImage)? = nil,
    caching: HostCaching = .usual
  ) throws(DiskImageError) -> any DiskImage {
    let file = try HostFile(descriptor, name: name, readOnly: readOnly, caching: caching)
    switch format {
    case .raw:
      guard base == nil else { throw .rawHasNoBase(name: name) }
      return try RawImage(file)
    case .overlay:
      return try OverlayImage(file, base: base)
    case .qcow2:
      return try QCOW2Image(file, backing: base)
    case .vmdk, .vdi, .vhd, .vhdx:
      return try openImport(format: format, file: file, base: base)
    }
  }

  /// Makes an overlay of an empty file or anew of an old one, whose contents are lost. It is on stable
  /// storage afterwards; its name in its directory is the caller's to sync.
  ///
  /// `size` in bytes may exceed the base's; nil takes the base's.
  package static func createOverlay(
    descriptor: Descriptor, name: String, base: (any DiskImage)?, size: UInt64? = nil
  ) throws(DiskImageError) {
    try OverlayImage.create(
      try HostFile(descriptor, name: name, readOnly: false), base: base, size: size ?? base?.size ?? 0)
  }

  /// Makes an overlay's disk larger; nobody may have it open.
  package static func growOverlay(
    descriptor: Descriptor, name: String, to size: UInt64
  ) throws(DiskImageError) {
    try OverlayImage.grow(try HostFile(descriptor, name: name, readOnly: false), to: size)
  }

  /// An overlay for a machine that is thrown away: it starts as the base is, and nothing of it can be
  /// opened again. ``DiskImage/flush()`` does nothing then, for there is no later to keep data for.
  /// The descriptor is an unlinked file's, as ``temporaryFile(in:)`` makes it.
  package static func ephemeralOverlay(
    descriptor: Descriptor, name: String, base: any DiskImage, size: UInt64? = nil
  ) throws(DiskImageError) -> any DiskImage {
    try OverlayImage(
      ephemeral: try HostFile(descriptor, name: name, readOnly: false), base: base, size: size ?? base.size)
  }

  /// A file without a name, gone with its last descriptor (O_TMPFILE).
  package static func temporaryFile(in directory: String) throws(DiskImageError) -> Descriptor {
    let raw = volary_open_temporary(directory)
    guard raw >= 0 else {
      throw .system(name: directory, operation: "make a temporary file in", Errno(-raw))
    }
    return Descriptor(owning: raw)
  }
}
