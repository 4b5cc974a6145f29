internal import Synchronization

/// The word in a context that asks generated code to leave, accessed atomically from any thread.
struct ExitRequest {
  private let cell: UnsafeMutablePointer<Atomic<UInt32>>

  @inline(__always) init(word: UnsafeMutablePointer<UInt32>) {
    cell = UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  @inline(__always) var isSet: Bool { cell.pointee.load(ordering: .sequentiallyConsistent) != 0 }

  @inline(__always) func set() { cell.pointee.store(1, ordering: .sequentiallyConsistent) }

  @inline(__always) func clear() { cell.pointee.store(0, ordering: .sequentiallyConsistent) }
}
