/// How an image's bytes are to be read. Whoever opens an image states it; it is never guessed from
/// the contents, because the contents are the guest's to write.
package enum DiskFormat: String, CaseIterable, Sendable {
  /// The file's bytes are the disk's.
  case raw
  /// Volary's own copy-on-write layer over a base (``OverlayImage``).
  case overlay
  /// QEMU's, version 3 (and 2 to read).
  case qcow2
  /// VMware's, in one sparse or stream-optimised file. Only read, and written as a stream.
  case vmdk
  /// VirtualBox's. Only read.
  case vdi
  /// Virtual PC's, fixed or dynamic. Only read.
  case vhd
  /// Hyper-V's. Only read.
  case vhdx
}
