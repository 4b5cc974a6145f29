package import HostSystem
internal import Synchronization

extension KVMMachine {
  // MARK: - Memory that guests can only read

  /// Shows guests whole pages that they can read and execute, such as firmware. What they write there goes to
  /// the bus. Throws when it overlaps other memory.
  package func addReadOnly(_ mapping: Mapping, at address: UInt64) throws(KVMError) {
    try slots.withLock { slots throws(KVMError) in try slots.add(mapping, at: address, descriptor) }
  }

  /// Takes memory that begins at `address` away again: reads go to the bus too. For flash that is being
  /// programmed.
  package func removeReadOnly(at address: UInt64) throws(KVMError) {
    try slots.withLock { slots throws(KVMError) in try slots.remove(at: address, descriptor) }
  }

  // MARK: - Dirty log

  /// Has the kernel note which pages of RAM guests write, or stop that. It slows guests down: each page faults
  /// once after it was read out.
  package func setDirtyLogging(_ on: Bool) throws(KVMError) {
    try slots.withLock { slots throws(KVMError) in try slots.setLogging(on, descriptor) }
  }

  /// Marks the pages dirty in ``GuestMemory`` that guests have written since the last call; how many. Pages
  /// written meanwhile are marked by this call or by the next.
  @discardableResult
  package func collectDirtyPages() throws(KVMError) -> Int {
    try slots.withLock { slots throws(KVMError) in try slots.collect(into: memory, descriptor) }
  }
}
