import Foundation
import Glibc
import HostSystem
import Testing

/// A file system of a few bytes or files, to be filled; for root only. Gone with the object.
final class SmallDisk {
  let folder = TestFolder()
  var path: String { folder.path }

  /// `options` are those of tmpfs(5), such as `size=16m`.
  init(_ options: String) throws {
    guard mount("volary-test", path, "tmpfs", 0, options) == 0 else { throw Errno(errno) }
  }

  deinit { umount2(path, Int32(MNT_DETACH)) }

  /// Bytes in use, by files with a name and without.
  var usedBytes: UInt64 {
    let status = status
    return UInt64(status.f_blocks - status.f_bfree) * UInt64(status.f_frsize)
  }

  var freeBytes: UInt64 { UInt64(status.f_bfree) * UInt64(status.f_frsize) }

  private var status: statvfs {
    var found = statvfs()
    _ = statvfs(path, &found)
    return found
  }

  /// Everything on it, by paths within.
  var content: [String] { FileManager.default.subpaths(atPath: path) ?? [] }

  /// Whether this process may mount one: root may, outside of containers.
  static let canBeMade = (try? SmallDisk("size=1m")) != nil
}

extension Trait where Self == ConditionTrait {
  static var mounts: Self { .enabled(if: SmallDisk.canBeMade, "only root can mount a file system to fill") }
}
