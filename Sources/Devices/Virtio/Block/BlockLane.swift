internal import HostSystem

/// One direction of a disk: its limit, and what that does not admit yet.
struct BlockLane {
  var limit = BlockLimit(bytes: nil, requests: nil)
  private var late = BlockTaskList()

  /// Whether a request may begin now; if not, it comes behind those that wait.
  mutating func admits(_ task: BlockTask) -> Bool {
    guard !limit.isNone || !late.isEmpty else { return true }
    let now = monotonicNanoseconds()
    guard late.isEmpty, limit.nextBegin <= now else {
      late.append(task)
      return false
    }
    limit.charge(task.count, at: now)
    return true
  }

  /// When the first that waits may begin; nil when none does.
  var nextBegin: UInt64? { late.isEmpty ? nil : limit.nextBegin }

  /// The first that waits, if it may begin now or `all` may.
  mutating func nextAdmitted(all: Bool) -> BlockTask? {
    guard !late.isEmpty else { return nil }
    let now = monotonicNanoseconds()
    guard all || limit.nextBegin <= now, let task = late.removeFirst() else { return nil }
    limit.charge(task.count, at: now)
    return task
  }
}
