internal import Glibc
internal import HostSystem
internal import Synchronization

/// Threads that carry requests out beside each other, for a disk that makes one wait. They begin when there is work for
/// them and end with the session.
final class BlockHelpers: Sendable {
  private struct State {
    var waiting = BlockTaskList()
    var done = BlockTaskList()
    var threads: [Thread] = []
    /// Threads that sleep and that nobody has woken.
    var idle = 0
    /// Threads that were woken and do not know it yet.
    var woken = 0
    var isEnding = false
  }

  /// Signalled when something is done.
  let counter: EventCounter
  private let device: VirtioBlock
  private let state = Mutex(State())
  private let bell: Bell

  init(_ device: VirtioBlock) throws(Errno) {
    self.device = device
    counter = try EventCounter()
    bell = Bell()
  }

  /// Has a task carried out. False: there is no thread for it, and none to be had.
  func hand(_ task: BlockTask) -> Bool {
    let (isTaken, wakes) = state.withLock { state in
      if state.idle > 0 {
        state.idle -= 1
        state.woken += 1
        state.waiting.append(task)
        return (true, true)
      }
      if state.threads.count < VirtioBlock.mostHelpers,
        let thread = try? Thread.start(name: device.name, { self.run() })
      {
        state.threads.append(thread)
      }
      if state.threads.isEmpty { return (false, false) }
      state.waiting.append(task)
      return (true, false)
    }
    if wakes { bell.ring(count: 1) }
    return isTaken
  }

  /// What is done since this was last asked, in the order in which it was.
  func takeDone() -> BlockTaskList { state.withLock { $0.done.takeAll() } }

  /// Waits until something is done that was not taken.
  func awaitDone() {
    while state.withLock({ $0.done.isEmpty }) {
      var entry = pollfd(fd: counter.descriptor.raw, events: Int16(POLLIN), revents: 0)
      if poll(&entry, 1, -1) > 0 { counter.drain() }
    }
  }

  /// Ends the threads. Nothing may wait to be carried out.
  func end() {
    let threads = state.withLock { state in
      state.isEnding = true
      defer { state.threads = [] }
      return state.threads
    }
    bell.ring(count: .max)
    for thread in threads { thread.join() }
  }

  // MARK: - The threads

  private func run() {
    while let task = next() {
      task.carryOut(device)
      let isFirst = state.withLock { state in
        defer { state.done.append(task) }
        return state.done.isEmpty
      }
      if isFirst { counter.signal() }
    }
  }

  /// The next task, or nil at the end.
  private func next() -> BlockTask? {
    var isAsleep = false
    while true {
      let seen = bell.position
      let found: (task: BlockTask?, ends: Bool) = state.withLock { state in
        if state.isEnding { return (nil, true) }
        if isAsleep {
          // Of those who were woken too many, the others sleep on.
          guard state.woken > 0 else { return (nil, false) }
          state.woken -= 1
          isAsleep = false
        }
        if let task = state.waiting.removeFirst() { return (task, false) }
        state.idle += 1
        isAsleep = true
        return (nil, false)
      }
      if found.ends { return nil }
      if let task = found.task { return task }
      bell.wait(after: seen)
    }
  }
}
