import CHost
import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

/// A file system on a loop device, which can fail and come back with what it holds; for root only. Gone with the object.
final class LoopDisk {
  private let folder = TestFolder()
  private let image: String
  /// Where it is mounted.
  let path: String

  init(bytes: Int64) throws {
    image = "\(folder.path)/image"
    path = "\(folder.path)/disk"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Descriptor.open(image, O_RDWR | O_CREAT).truncate(to: bytes)
    try Self.run("mkfs.ext4", ["-q", "-F", image])
    try mount()
    try FileManager.default.removeItem(atPath: "\(path)/lost+found")
  }

  deinit { umount2(path, Int32(MNT_DETACH)) }

  func mount() throws { try Self.run("mount", ["-o", "loop", image, path]) }

  /// Fails while somebody has a file of it.
  func unmount() throws { try Self.run("umount", [path]) }

  /// Has each access fail from now on, as when the disk is gone: EXT4_IOC_SHUTDOWN without a flush of the journal
  /// (fs/ext4/ext4.h). What was synced is there when it is mounted again.
  func fail() throws {
    let root = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
    var flags: UInt32 = 2
    let result = withUnsafeMutablePointer(to: &flags) { volary_ioctl(root.raw, 0x8004_587D, $0) }
    guard result >= 0 else { throw Errno(-result) }
  }

  private static func run(_ program: String, _ arguments: [String]) throws {
    let outcome = try ProgramRun(program, arguments).finish(within: 60)
    guard outcome.code == 0 else { throw Failure(text: "\(program) \(arguments): \(outcome.errors)") }
  }

  struct Failure: Error { let text: String }

  /// Whether this host lets one be made.
  static let canBeMade: Bool = {
    guard let disk = try? LoopDisk(bytes: 16 << 20) else { return false }
    return (try? disk.unmount()) != nil
  }()
}

extension Trait where Self == ConditionTrait {
  static var loops: Self { .enabled(if: LoopDisk.canBeMade, "only root can mount a file on a loop device") }
}
