internal import CHost
internal import Glibc

/// Whether this host's /dev/kvm can run a machine. It can be there and yet interpret guest kernel code
/// a million instructions a second, so it is measured, not believed.
package enum KVMProbe {
  /// What was found.
  package enum Verdict: Equatable, Sendable {
    /// There is no /dev/kvm.
    case absent
    /// It is there, and this user may not open it or the kernel refuses; why.
    case refused(Errno)
    /// It is there, and no guest code of this kind can be tried on this processor.
    case unmeasured
    /// It ran guest code: millions of instructions a second.
    case measured(mips: Double)
  }

  /// Below this no stock kernel finishes booting (millions of instructions a second).
  package static let usefulMIPS = 100.0

  /// Tries /dev/kvm. Takes about a tenth of a second, on any host less than one second.
  package static func measure() -> Verdict {
    let device: Descriptor
    do { device = try Descriptor.open("/dev/kvm", O_RDWR) } catch {
      return error == .notFound ? .absent : .refused(error)
    }
    #if arch(x86_64)
      do {
        let loop = try KVMLoop(device: device)
        return .measured(mips: try loop.measure())
      } catch { return .refused(error) }
    #else
      return .unmeasured
    #endif
  }
}

#if arch(x86_64)
  /// A virtual CPU in long mode with nothing but a counting loop to run: guest kernel code, as the
  /// boot of a stock kernel is.
  private struct KVMLoop {
    private let vm: Descriptor
    private let cpu: Descriptor
    private let memory: Mapping
    private let shared: Mapping

    /// Guest-physical addresses of the page tables and the code.
    private enum Place {
      static let level4 = 0x1000
      static let level3 = 0x2000
      static let level2 = 0x3000
      static let code = 0x4000
      static let size = 0x5000
    }

    /// `dec %rcx; jnz .-3; hlt`: two instructions a round.
    private static let code: [UInt8] = [0x48, 0xff, 0xc9, 0x75, 0xfb, 0xf4]

    init(device: Descriptor) throws(Errno) {
      try check(volary_kvm_ioctl(device.raw, UInt(volary_kvm_get_api_version), 0))
      let size = try check(volary_kvm_ioctl(device.raw, UInt(volary_kvm_get_vcpu_mmap_size), 0))
      vm = Descriptor(owning: try check(volary_kvm_ioctl(device.raw, UInt(volary_kvm_create_vm), 0)))
      memory = try Mapping.map(size: Place.size)
      var slot = kvm_userspace_memory_region()
      slot.memory_size = UInt64(Place.size)
      slot.userspace_addr = UInt64(UInt(bitPattern: memory.base))
      try check(volary_ioctl(vm.raw, volary_kvm_set_user_memory_region, &slot))
      cpu = Descriptor(
        owning: try check(volary_kvm_ioctl(vm.raw, UInt(volary_kvm_create_vcpu), 0)))
      shared = try Mapping.map(size: Int(size), descriptor: cpu, flags: 0)
      fillMemory()
      try enterLongMode()
    }

    /// Identity page tables over the first 2 MiB, and the code.
    private func fillMemory() {
      let presentWritable: UInt64 = 0b11
      let large: UInt64 = 1 << 7
      memory.base.storeBytes(
        of: UInt64(Place.level3) | presentWritable, toByteOffset: Place.level4, as: UInt64.self)
      memory.base.storeBytes(
        of: UInt64(Place.level2) | presentWritable, toByteOffset: Place.level3, as: UInt64.self)
      memory.base.storeBytes(of: large | presentWritable, toByteOffset: Place.level2, as: UInt64.self)
      (memory.base + Place.code).copyMemory(from: Self.code, byteCount: Self.code.count)
    }

    private func enterLongMode() throws(Errno) {
      var special = kvm_sregs()
      try check(volary_ioctl(cpu.raw, volary_kvm_get_sregs, &special))
      special.cr3 = UInt64(Place.level4)
      special.cr4 = 1 << 5  // PAE
      special.cr0 = 1 << 31 | 1 << 0  // PG, PE
      special.efer = 1 << 10 | 1 << 8  // LMA, LME
      var segment = kvm_segment()
      segment.limit = .max
      segment.selector = 8
      segment.present = 1
      segment.s = 1
      segment.g = 1
      segment.type = 11  // code, readable, accessed
      segment.l = 1
      special.cs = segment
      segment.type = 3  // data, writable, accessed
      segment.selector = 16
      segment.l = 0
      special.ds = segment
      special.es = segment
      special.ss = segment
      try check(volary_ioctl(cpu.raw, volary_kvm_set_sregs, &special))
    }

    /// Runs the loop in rounds that double until one takes 20 ms or is long enough to tell; millions of
    /// instructions a second of the last one.
    func measure() throws(Errno) -> Double {
      var rounds: UInt64 = 1024
      while true {
        var registers = kvm_regs()
        registers.rip = UInt64(Place.code)
        registers.rcx = rounds
        registers.rflags = 2
        try check(volary_ioctl(cpu.raw, volary_kvm_set_regs, &registers))
        let start = monotonicNanoseconds()
        while true {
          let status = volary_kvm_ioctl(cpu.raw, UInt(volary_kvm_run), 0)
          if status != -EINTR && status != -EAGAIN {
            try check(status)
            break
          }
        }
        let nanoseconds = max(1, monotonicNanoseconds() - start)
        let reason = shared.base.load(
          fromByteOffset: MemoryLayout<kvm_run>.offset(of: \.exit_reason) ?? 8, as: UInt32.self)
        guard reason == UInt32(KVM_EXIT_HLT) else { throw .io }
        if nanoseconds > 20_000_000 || rounds >= 1 << 28 {
          return Double(rounds * 2) * 1000 / Double(nanoseconds)
        }
        rounds *= 2
      }
    }
  }
#endif
