import HostSystem
import Synchronization
import Testing

@Suite struct ThreadTests {
  @Test func staysWhereItIsTold() throws {
    let all = HostSystem.Thread.usableCPUs
    #expect(!all.isEmpty)
    for cpu in all {
      let seen = Mutex<[Int]>([])
      let thread = try HostSystem.Thread.start(name: "stays") {
        try? HostSystem.Thread.stay(onCPU: cpu)
        seen.withLock { $0 = HostSystem.Thread.usableCPUs }
      }
      thread.join()
      #expect(seen.withLock { $0 } == [cpu])
    }
    #expect(HostSystem.Thread.usableCPUs == all)
    #expect(throws: Errno.self) { try HostSystem.Thread.stay(onCPU: 1 << 20) }
  }
}
