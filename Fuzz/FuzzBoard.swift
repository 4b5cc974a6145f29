import HostSystem
import Synchronization

/// Memory that a worker and its supervisor share: which case runs, since when, and how many ran.
final class FuzzBoard {
  private let mapping: Mapping
  let descriptor: Descriptor

  init(_ descriptor: Descriptor) throws(Errno) {
    self.descriptor = descriptor
    mapping = try Mapping.map(size: 4096, descriptor: descriptor)
  }

  static func make() throws(Errno) -> FuzzBoard {
    let file = try Descriptor.memory(name: "fuzz")
    try file.truncate(to: 4096)
    return try FuzzBoard(file)
  }

  private var cells: UnsafeMutablePointer<Atomic<UInt64>> {
    mapping.base.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// The seed of the case that runs.
  var current: UInt64 {
    get { cells[0].load(ordering: .acquiring) }
    set { cells[0].store(newValue, ordering: .releasing) }
  }
  /// When it began, in nanoseconds of the monotonic clock.
  var startedAt: UInt64 {
    get { cells[1].load(ordering: .acquiring) }
    set { cells[1].store(newValue, ordering: .releasing) }
  }
  /// Cases that ended.
  var done: UInt64 {
    get { cells[2].load(ordering: .acquiring) }
    set { cells[2].store(newValue, ordering: .releasing) }
  }
}
