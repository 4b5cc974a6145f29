package import GuestMemory

/// The kernel keeps account of what guests write (KVM_MEM_LOG_DIRTY_PAGES).
extension KVMMachine: DirtyPageSource {
  package func startNotingWrites() throws(DirtyLogError) {
    try attempt { () throws(KVMError) in try setDirtyLogging(true) }
  }

  package func reportWrites() throws(DirtyLogError) {
    try attempt { () throws(KVMError) in try collectDirtyPages() }
  }

  package func stopNotingWrites() throws(DirtyLogError) {
    try attempt { () throws(KVMError) in try setDirtyLogging(false) }
  }

  private func attempt<Result>(_ body: () throws(KVMError) -> Result) throws(DirtyLogError) {
    do throws(KVMError) { _ = try body() } catch { throw DirtyLogError(error.description) }
  }
}
