internal import HostSystem
internal import Synchronization

/// One command of the protocol, from the moment somebody wants it until it is answered, over however many connections.
///
/// Whoever asks waits for it, so that the buffer stays; it is touched by libnbd only while the request is with a
/// connection that is open.
final class NBDRequest: @unchecked Sendable {  // the pump's alone, until it is complete
  enum Operation {
    case read(UnsafeMutableRawBufferPointer)
    case write(UnsafeRawBufferPointer)
    case zero(mayUnmap: Bool)
    case trim
    case flush
    case extents
  }

  /// Pairs of a server's answer that are taken; it may send many more.
  static let mostExtents = 1024

  let operation: Operation
  let offset: UInt64
  let count: UInt64
  /// When it fails, on the monotonic clock, in nanoseconds.
  let deadline: UInt64
  /// Nobody waits for it: a change that is made again, or a flush that makes room.
  let isOwn: Bool
  /// What keeps the bytes of a change that is made again.
  let kept: NBDLog.Change?

  /// Its place among all, which it keeps when it is sent again.
  var number: UInt64 = 0
  /// Of a flush: the changes in the log when it was sent.
  var mark: UInt64 = 0
  /// What the server said of a range: lengths, each with its flags.
  var extents: [(length: UInt32, flags: UInt32)] = []
  private(set) var result: Result<Void, Errno> = .success(())
  private let completion = Completion()

  init(
    _ operation: Operation, at offset: UInt64 = 0, count: UInt64 = 0, deadline: UInt64, isOwn: Bool = false,
    kept: NBDLog.Change? = nil
  ) {
    self.operation = operation
    self.offset = offset
    self.count = count
    self.deadline = deadline
    self.isOwn = isOwn
    self.kept = kept
  }

  /// Whether it changes the disk's contents.
  var isChange: Bool {
    switch operation {
    case .write, .zero, .trim: true
    case .read, .flush, .extents: false
    }
  }

  func overlaps(_ other: NBDRequest) -> Bool {
    offset < other.offset + other.count && other.offset < offset + count
  }

  func complete(_ result: Result<Void, Errno>) {
    self.result = result
    completion.complete()
  }

  /// Whether it is complete within so many nanoseconds.
  func wait(nanoseconds: Int64) -> Bool { completion.wait(nanoseconds: nanoseconds) }
}
