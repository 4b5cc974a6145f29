import CHost
import Glibc
import GuestMemory
import HostSystem
import KVM
import Synchronization
import Testing

/// What can be wrong with a host's KVM, one clear line each. Needs no KVM.
@Suite struct SystemTests {
  private func error(_ path: String) -> KVMError? {
    do throws(KVMError) {
      _ = try KVMSystem(path: path)
      return nil
    } catch { return error }
  }

  @Test func tellsThatThereIsNone() {
    #expect(error("/nonexistent/kvm") == .missing(path: "/nonexistent/kvm"))
    #expect("\(KVMError.missing(path: "/dev/kvm"))".hasPrefix("there is no /dev/kvm"))
    #expect(KVMProbe.measure(path: "/nonexistent/kvm") == .absent)
  }

  @Test func tellsWhatIsNoKVM() throws {
    #expect(error("/dev/null") == .notKVM)
    #expect(error("/etc") == .cannotOpen(path: "/etc", Errno(EISDIR)))
    let file = try Descriptor.memory(name: "not-kvm")
    #expect(throws: KVMError.notKVM) { try KVMSystem(device: file) }
    let counter = try EventCounter()
    #expect(throws: KVMError.notKVM) { try KVMSystem(device: counter.descriptor) }
    #expect(KVMProbe.measure(path: "/dev/null") == .refused(.notKVM))
  }

  /// As a user without rights, which a thread without capabilities is even if it is root's. The group is the one
  /// that `stat` names.
  @Test func namesTheGroupThatMayOpenIt() throws {
    let path = "/tmp/volary-kvm-test.\(getpid())"
    let file = try Descriptor.open(path, O_RDWR | O_CREAT, mode: 0o000)
    defer { unlink(path) }
    let inGroup = getgid()
    let group =
      inGroup == 0 ? "root" : try #require(getgrgid(inGroup).flatMap { String(cString: $0.pointee.gr_name) })

    func refusal(mode: mode_t) throws -> KVMError? {
      fchmod(file.raw, mode)
      let found = Mutex<KVMError?>(nil)
      let thread = try Thread.start(name: "nobody") {
        _ = volary_drop_capabilities()
        do throws(KVMError) { _ = try KVMSystem(path: path) } catch { found.withLock { $0 = error } }
      }
      thread.join()
      return found.withLock { $0 }
    }
    #expect(try refusal(mode: 0o000) == .denied(path: path, group: nil))
    // The owner is refused what its group may do.
    #expect(try refusal(mode: 0o060) == .denied(path: path, group: group))
    #expect("\(KVMError.denied(path: "/dev/kvm", group: "kvm"))".contains("members of the group kvm"))
  }

  @Test func namesWhatIsMissing() {
    #expect(KVMCapability.missing { _ in 1 }.isEmpty)
    #expect(
      KVMCapability.missing { $0 == .splitInterruptChip || $0 == .irqfd ? 0 : 1 }.sorted() == [
        "KVM_CAP_IRQFD", "KVM_CAP_SPLIT_IRQCHIP",
      ])
    #expect("\(KVMError.lacking(["KVM_CAP_IRQFD"]))" == "this host's KVM lacks KVM_CAP_IRQFD")
  }
}

/// This host's KVM.
@Suite(.enabled(if: KVMHost.isUsable, KVMHost.reason), .timeLimit(.minutes(30)))
struct MachineTests {
  @Test func readsWhatTheHostCan() throws {
    let system = try KVMSystem()
    #expect(system.value(of: .userMemory) == 1)
    #expect(system.mostCPUs >= 1 && system.mostCPUs <= 64)
    // Every x86-64 processor has a TSC and SYSENTER's registers.
    #expect(Set(system.stateRegisters).isSuperset(of: [0x10, 0x174, 0x175, 0x176]))
    #expect(system.supportedCPUID[0]?.eax ?? 0 > 0)
    #expect(Set(KVMSystem.requestNumbers).contains(0xAE80))
    #expect(Set(KVMSystem.requestNumbers).count == KVMSystem.requestNumbers.count)
    // A process that may not open the device gets it from one that may.
    #expect(try KVMSystem(device: system.device).stateRegisters == system.stateRegisters)
  }

  @Test func refusesTooManyCPUs() throws {
    let system = try KVMSystem()
    let memory = try GuestMemory(regions: [(base: 0, size: 1 << 20)])
    for count in [-1, 0, 65] {
      #expect(throws: KVMError.tooManyCPUs(asked: count, most: system.mostCPUs)) {
        try KVMMachine(system: system, memory: memory, cpus: count)
      }
    }
    #expect(
      try KVMMachine(system: system, memory: memory, cpus: system.mostCPUs).processors.count
        == system.mostCPUs)
  }

  @Test func refusesMemoryThatOverlaps() throws {
    let guest = try Guest(Code.halt)
    let firmware = try Mapping.map(size: 0x1000)
    #expect(throws: KVMError.self) { try guest.machine.addReadOnly(firmware, at: Guest.Place.data) }
    #expect(guest.run() == .halted)
  }

  @Test func measuresInBoundedTime() throws {
    let start = monotonicNanoseconds()
    let verdict = KVMProbe.measure()
    let milliseconds = (monotonicNanoseconds() - start) / 1_000_000
    guard case .measured(let mips) = verdict else {
      Issue.record("not measured: \(verdict)")
      return
    }
    print("KVM: \(mips) million instructions a second, measured in \(milliseconds) ms")
    #expect(mips > 0.01 && mips < 100_000)
    #expect(verdict.isUseful == (mips >= KVMProbe.usefulMIPS))
    // 0.2 s of guest code, and whatever else this host is busy with.
    #expect(milliseconds < 2000)
  }
}
