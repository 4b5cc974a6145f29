internal import VolaryAPI
internal import VolaryHost

/// What a volume's configuration says, read and checked.
struct VolumeSettings {
  /// Bytes; nil where nothing is said.
  var size: UInt64?
  var snapshotPattern = SnapshotPattern.usual
  var snapshotExpiry: TimeSpan?

  /// Throws `invalid` with the key that is wrong and what it may be.
  init(_ config: [String: String]) throws(APIError) {
    for (key, value) in config.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
      switch key {
      case "size":
        guard let bytes = ByteSize(value)?.bytes, (1 << 20...1 << 56).contains(bytes) else {
          throw .invalid(
            "`\(value.prefix(40))` cannot be the size of a volume", wayOut: "write one such as 10GiB")
        }
        size = bytes
      case "security.shared":
        guard ["true", "false", "1", "0", "yes", "no", "on", "off"].contains(value) else {
          throw .invalid("`security.shared` has to be true or false")
        }
      case "snapshots.pattern":
        guard let pattern = SnapshotPattern(value) else {
          throw .invalid(
            "`snapshots.pattern` makes no name that a snapshot may have", wayOut: "such as snap%d")
        }
        snapshotPattern = pattern
      case "snapshots.expiry":
        guard let expiry = TimeSpan(value) else {
          throw .invalid("`snapshots.expiry` has to be a time such as `3d 12H`, with M, H, d, w, m or y")
        }
        snapshotExpiry = expiry
      default:
        guard key.hasPrefix("user.") || key.hasPrefix("volatile.") else {
          throw .invalid(
            "a volume has no key `\(key.prefix(100))`",
            wayOut:
              "it has size, security.shared, snapshots.expiry, snapshots.pattern, and keys of your own in user."
          )
        }
      }
    }
  }

  /// Throws for what is no block volume.
  static func checkKind(_ post: StorageVolumesPost) throws(APIError) {
    guard post.type ?? "custom" == "custom" else {
      throw .invalid("volumes of the type `\(post.type?.prefix(40) ?? "")` come with what they are of")
    }
    guard post.contentType == "block" else {
      throw APIError(
        .unprocessable,
        "volumes have the content type block (--type block), and none is of "
          + "`\(post.contentType?.prefix(40) ?? "filesystem")`",
        wayOut: "add --type block; its guest makes the file system")
    }
  }
}
