package import HostSystem

/// Why an image cannot be opened or made. The description names the file and the way out.
package enum DiskImageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Neither a regular file nor a block device.
  case notAFile(name: String)
  case notOpenForWriting(name: String)
  /// Another machine, or a program that locks as QEMU does, has it.
  case inUse(name: String, readOnly: Bool)
  case empty(name: String)
  /// A writable raw image whose last sector is not whole.
  case partialSector(name: String, size: UInt64)
  /// The file has no overlay's header; `looksLike` names the format that its first bytes belong to.
  case notAnOverlay(name: String, looksLike: String?)
  case unknownVersion(name: String, version: UInt32)
  /// The header's checksum is right and its contents are not, or the checksum is wrong.
  case damagedHeader(name: String, reason: String)
  /// The allocation bitmap names clusters behind the end of the disk.
  case damagedBitmap(name: String)
  /// The file is shorter than its header says.
  case truncated(name: String, size: UInt64, expected: UInt64)
  case baseMissing(name: String)
  case baseNotWanted(name: String)
  /// A raw image was opened with a base.
  case rawHasNoBase(name: String)
  /// The base given is not the one that the overlay was made on, or has been changed since.
  case wrongBase(name: String, reason: String)
  case baseWritable(name: String)
  /// The size asked for is smaller than what is there, not a multiple of 512, or too large.
  case badSize(name: String, size: UInt64, reason: String)
  /// The file is not what `format` says, or was damaged: `reason` says what was found where.
  case damaged(name: String, format: DiskFormat, reason: String)
  /// The file uses something of its format that this program does not have.
  case unsupported(name: String, format: DiskFormat, feature: String)
  /// The file is a layer over another, which was not given; `backing` is what it calls that.
  case backingMissing(name: String, backing: String)
  /// The file only describes a disk, whose bytes are in another that it calls `file`, in this format.
  case elsewhere(name: String, file: String, format: DiskFormat)
  /// A disk that a server has: `reason` says what it answered, or what is wrong with its name.
  case server(name: String, reason: String)
  case system(name: String, operation: String, Errno)

  package var description: String {
    switch self {
    case .notAFile(let name):
      "\(name) is neither a file nor a block device: name a disk image, or a device such as /dev/sdb"
    case .notOpenForWriting(let name):
      "\(name) is not open for writing: give write permission, or attach the disk read-only"
    case .inUse(let name, let readOnly):
      readOnly
        ? "\(name) is being written by another machine: stop that machine first"
        : "\(name) is in use by another machine: stop that machine, or attach the disk read-only in both"
    case .empty(let name):
      "\(name) is empty: give it a size first, such as with: truncate -s 10G \(name)"
    case .partialSector(let name, let size):
      "\(name) has \(size) bytes, not a multiple of 512: attach it read-only, or fill it up with: "
        + "truncate -s %512 \(name)"
    case .notAnOverlay(let name, let format?):
      "\(name) is not an overlay but looks like \(format): state its format, or convert it with: "
        + "qemu-img convert -O raw"
    case .notAnOverlay(let name, nil):
      "\(name) is not an overlay: state its format (raw?), or make the overlay anew"
    case .unknownVersion(let name, let version):
      "\(name) is an overlay of version \(version), and this program knows version "
        + "\(OverlayHeader.version): open it with the program that made it"
    case .damagedHeader(let name, let reason):
      "\(name) has a damaged header (\(reason)): restore it from a backup"
    case .damagedBitmap(let name):
      "\(name) has a damaged allocation bitmap: restore it from a backup"
    case .truncated(let name, let size, let expected):
      "\(name) was cut short: it has \(size) bytes of \(expected); restore it from a backup or copy it again"
    case .baseMissing(let name):
      "\(name) is an overlay and needs the image it was made on: name it as the base"
    case .baseNotWanted(let name):
      "\(name) is an overlay that was made without a base: open it without one"
    case .rawHasNoBase(let name):
      "\(name) was stated to be raw, and raw images have no base: state overlay, or name no base"
    case .wrongBase(let name, let reason):
      "\(name) was made on another base image (\(reason)): give it the image it was made on, unchanged"
    case .baseWritable(let name):
      "the base of \(name) is open for writing: open it read-only"
    case .badSize(let name, let size, let reason):
      "\(name) cannot have a size of \(size) bytes: \(reason)"
    case .damaged(let name, let format, let reason):
      "\(name) is no sound \(format.rawValue) image (\(reason)): copy it again, or restore it from a backup"
    case .unsupported(let name, let format, let feature):
      "\(name) is a \(format.rawValue) image with \(feature), which this program does not know: convert it with "
        + "the program that made it"
    case .backingMissing(let name, let backing):
      "\(name) holds only what differs from \(backing): give that file too, or convert both into one"
    case .elsewhere(let name, let file, let format):
      "\(name) only describes a disk that is in \(file): name that file instead, as \(format.rawValue)"
    case .server(let name, let reason):
      "cannot use \(name): \(reason)"
    case .system(let name, let operation, let error):
      "cannot \(operation) \(name): \(error)"
    }
  }
}
