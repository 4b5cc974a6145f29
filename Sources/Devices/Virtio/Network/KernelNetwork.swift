package import GuestMemory
package import HostSystem
internal import Synchronization

/// The kernel's worker for the two queues of frames (vhost-net), with the counters that it is woken by and signals.
///
/// It reads and writes this process's memory by itself. So its writes are an account of their own in the dirty log: a
/// bit for each page, which the kernel sets.
package final class KernelNetwork: Sendable {
  private struct State {
    var features: UInt64 = 0
    var rings: [Int: VHostNet.Ring] = [:]
    var log: Mapping?
    var notesWrites = false
  }

  private static let queues = 0..<2

  private let vhost: VHostNet
  private let memory: GuestMemory
  let tap: Descriptor
  private let kicks: [EventCounter]
  private let calls: [EventCounter]
  let failures: [EventCounter]
  private let state = Mutex(State())

  /// `device` is /dev/vhost-net, opened, and from here on this process's; `tap` is attached. Throws when the kernel
  /// cannot do the work, and then somebody else has to.
  package init(device: Descriptor, tap: TapDevice, memory: GuestMemory) throws(Errno) {
    self.tap = tap.descriptor
    self.memory = memory
    vhost = try VHostNet(
      device: device,
      memory: memory.regions.map {
        VHostNet.Memory(guest: $0.base, size: $0.size, host: UInt(bitPattern: $0.host))
      })
    let needed: VirtioFeatures = [.networkMergedBuffers, .ofQueues]
    guard needed.isSubset(of: VirtioFeatures(rawValue: vhost.features)) else { throw Errno.invalid }
    kicks = [try EventCounter(), try EventCounter()]
    calls = [try EventCounter(), try EventCounter()]
    failures = [try EventCounter(), try EventCounter()]
  }

  /// What wakes the kernel; nil for queues that it does not work on.
  func kick(queue: Int) -> EventCounter? { Self.queues.contains(queue) ? kicks[queue] : nil }
  /// What the kernel signals when buffers were used.
  func call(queue: Int) -> EventCounter? { Self.queues.contains(queue) ? calls[queue] : nil }

  /// Begins work on those of the queues that are there. After a throw none is worked on.
  func start(_ queues: [LiveQueue], features: VirtioFeatures) throws(Errno) {
    do throws(Errno) {
      try state.withLock { state throws(Errno) in
        state.features = features.rawValue
        try vhost.agree(on: features.rawValue, isLogged: state.notesWrites)
        for queue in queues where Self.queues.contains(queue.index) {
          let ring = Self.ring(queue)
          for counter in [kicks[queue.index], calls[queue.index], failures[queue.index]] { counter.drain() }
          try vhost.start(
            queue: queue.index, ring, isLogged: state.notesWrites, tap: tap, kick: kicks[queue.index],
            call: calls[queue.index], failed: failures[queue.index])
          state.rings[queue.index] = ring
        }
      }
    } catch {
      stop()
      throw error
    }
  }

  private static func ring(_ queue: LiveQueue) -> VHostNet.Ring {
    func place(_ slice: GuestSlice) -> UInt { slice.withBytes { UInt(bitPattern: $0.baseAddress) } }
    let (descriptors, available, used, position) = queue.rings
    return VHostNet.Ring(
      size: queue.size, position: position, descriptors: place(descriptors), available: place(available),
      used: place(used), usedAddress: used.address)
  }

  /// Ends work: when this returns, the queues are left alone.
  func stop() {
    state.withLock { state in
      for queue in Self.queues { vhost.stop(queue: queue) }
      state.rings = [:]
    }
  }

  // MARK: - Dirty log

  private func changeNoting(_ isOn: Bool) throws(DirtyLogError) {
    do throws(Errno) {
      try state.withLock { state throws(Errno) in
        if isOn, state.log == nil {
          let words = (Int(memory.end >> UInt64(GuestMemory.pageShift)) + 63) / 64
          let log = try Mapping.map(size: (words * 8 + 4095) & ~4095)
          try vhost.setLog(log.base)
          state.log = log
        }
        state.notesWrites = isOn
        try vhost.agree(on: state.features, isLogged: isOn)
        for (queue, ring) in state.rings { try vhost.place(queue: queue, ring, isLogged: isOn) }
      }
    } catch { throw DirtyLogError("vhost-net's writes cannot be noted: \(error)") }
  }
}

extension KernelNetwork: DirtyPageSource {
  package func startNotingWrites() throws(DirtyLogError) { try changeNoting(true) }
  package func stopNotingWrites() throws(DirtyLogError) { try changeNoting(false) }

  package func reportWrites() throws(DirtyLogError) {
    let log = state.withLock { $0.log }
    guard let log else { return }
    let words = log.base.assumingMemoryBound(to: Atomic<UInt64>.self)
    for region in memory.regions {
      let first = Int(region.base >> UInt64(GuestMemory.pageShift))
      precondition(first % 64 == 0, "regions share a word of the log")
      let pages = region.size >> GuestMemory.pageShift
      for word in first / 64..<(first + pages + 63) / 64
      where words[word].load(ordering: .relaxed) != 0 {
        memory.markDirty(
          words[word].exchange(0, ordering: .sequentiallyConsistent),
          from: (region.offset >> GuestMemory.pageShift) + 64 * word - first)
      }
    }
  }
}
