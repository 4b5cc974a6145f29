package import HostSystem

/// Why a mirror cannot be made, opened or completed. The description names the file and the way out.
package enum MirrorError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file does not begin as a mirror's metadata do.
  case notMetadata(name: String)
  case unknownVersion(name: String, version: UInt32)
  /// Neither of the two copies is sound; what is wrong with the first is said.
  case damaged(name: String, reason: String)
  /// A side was given that the metadata does not know.
  case foreignSide(name: String, side: String)
  /// Two sides have one identity.
  case sameSide(name: String)
  case readOnly(name: String)
  /// A side has fewer bytes than the disk.
  case tooSmall(side: String, size: UInt64, expected: UInt64)
  case badSize(name: String, size: UInt64, reason: String)
  /// None of the sides given has all that was written.
  case noCurrentSide(name: String, wanted: String)
  /// Both sides are in use.
  case nothingMissing(name: String)
  case nameTooLong(side: String)
  case system(name: String, operation: String, Errno)

  package var description: String {
    switch self {
    case .notMetadata(let name):
      "\(name) is not a mirror's metadata: name the file that was made with the mirror"
    case .unknownVersion(let name, let version):
      "\(name) is a mirror's metadata of version \(version), and this program knows version "
        + "\(MirrorRecord.version): open it with the program that made it"
    case .damaged(let name, let reason):
      "\(name) is damaged (\(reason)): find out which side was written last, and make a new mirror of that one"
    case .foreignSide(let name, let side):
      "\(side) is no side of the mirror \(name): open the mirror without it, then attach it to have it rebuilt"
    case .sameSide(let name):
      "both sides of the mirror \(name) have one identity: give it two different disks"
    case .readOnly(let name):
      "\(name) is not open for writing, and a mirror writes all its files: give write permission"
    case .tooSmall(let side, let size, let expected):
      "\(side) has \(size) bytes, and the mirror's disk \(expected): give it a side that is at least as large"
    case .badSize(let name, let size, let reason):
      "the mirror \(name) cannot have \(size) bytes: \(reason)"
    case .noCurrentSide(let name, let wanted):
      "the mirror \(name) needs \(wanted), which alone has all that was written: bring it back"
    case .nothingMissing(let name):
      "both sides of the mirror \(name) are in use: nothing is to be replaced"
    case .nameTooLong(let side):
      "\(side.prefix(64))… is too long a name: use one of at most \(MirrorRecord.nameLength) bytes"
    case .system(let name, let operation, let error):
      "cannot \(operation) \(name): \(error)"
    }
  }
}
