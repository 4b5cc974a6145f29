/// One of the two disks that a mirror writes, and how its metadata knows it.
///
/// A disk's image has no room for an identity, so nothing in it says to which pair it belongs. The metadata keeps
/// the two things stated here, and whoever opens the pair keeps the identity beside the image, as beside its path in
/// a database. To give an identity to another disk than the one it was drawn for, or to change a side while it is
/// out of the pair and put it back under its old identity, is a mistake that the mirror cannot see: it would take
/// the bytes for its own.
package struct MirrorSide: Sendable {
  package let disk: any DiskImage
  /// Drawn when the disk was first made a side; one that is wiped or replaced gets another.
  package let identity: MirrorIdentity
  /// What messages call the side: its path, usually. At most 1,024 bytes of UTF-8.
  package let name: String

  package init(_ disk: any DiskImage, identity: MirrorIdentity, name: String) {
    self.disk = disk
    self.identity = identity
    self.name = name
  }
}
