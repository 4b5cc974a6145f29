internal import Foundation
internal import Glibc
internal import HostSystem
internal import Synchronization

/// Room on the disk of the daemon's data that is kept for when there is no other: what makes room has to be written
/// down first.
final class DiskReserve: Sendable {
  private static let size: off_t = 2 << 20
  /// True in tasks that stop or delete something.
  @TaskLocal static var mayBeUsed = false

  private let path: String
  private let isThere = Atomic(false)

  init(directory: String) {
    path = directory + "/reserve"
    isThere.store(access(path, F_OK) == 0, ordering: .relaxed)
    keep()
  }

  /// Takes the room, unless it has it or there is little.
  func keep() {
    if isThere.load(ordering: .relaxed) { return }
    var room = statvfs()
    guard statvfs((path as NSString).deletingLastPathComponent, &room) == 0,
      UInt64(room.f_bavail) * UInt64(room.f_frsize) > 8 * UInt64(Self.size),
      let file = try? Descriptor.open(path, O_RDWR | O_CREAT, mode: 0o600)
    else { return }
    if posix_fallocate(file.raw, 0, Self.size) == 0 {
      isThere.store(true, ordering: .relaxed)
    } else {
      unlink(path)
    }
  }

  /// Gives the room back; false when there is none any more.
  func giveUp() -> Bool {
    isThere.store(false, ordering: .relaxed)
    return unlink(path) == 0
  }
}
