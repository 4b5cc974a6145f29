internal import Glibc
internal import HostSystem
internal import Synchronization

/// The room that a file system has, held on to some of it: what is copied there in the background is not to have
/// machines' disks find it full.
package final class HostRoom: Sendable {
  /// Bytes that are written between two looks.
  private static let interval = 8 << 20
  private static let mostKept: UInt64 = 256 << 20

  private let path: String
  private let unseen = Atomic(0)

  /// `path` is a directory that is there.
  package init(_ path: String) { self.path = path }

  /// Throws when `bytes` more would leave too little.
  package func check(_ bytes: UInt64) throws(VolaryError) {
    var system = statvfs()
    // A file system that does not say what it has is not held to it.
    guard statvfs(path, &system) == 0 else { return }
    let block = UInt64(system.f_frsize)
    let (free, total) = (UInt64(system.f_bavail) * block, UInt64(system.f_blocks) * block)
    let kept = min(Self.mostKept, total / 32)
    guard free < kept || free - kept < bytes else { return }
    throw VolaryError(
      "there is too little room in \(path): \(ByteCount.text(Int64(clamping: bytes))) are needed, and of "
        + "\(ByteCount.text(Int64(clamping: free))) that are free \(ByteCount.text(Int64(clamping: kept))) are kept",
      wayOut: "make room there: delete a snapshot, a backup or an instance")
  }

  /// As ``check(_:)`` now and then, of what was written.
  package func note(_ bytes: Int) throws(VolaryError) {
    if unseen.add(bytes, ordering: .relaxed).newValue < Self.interval { return }
    unseen.store(0, ordering: .relaxed)
    try check(0)
  }
}
