/// How an image's bytes are to be read. Whoever opens an image states it; it is never guessed from
/// the contents, because the contents are the guest's to write.
package enum DiskFormat: String, CaseIterable, Sendable {
  /// The file's bytes are the disk's.
  case raw
  /// Volary's own copy-on-write layer over a base (``OverlayImage``).
  case overlay
}
