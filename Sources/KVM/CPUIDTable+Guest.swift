/// What is said to a guest's CPU, made of what KVM supports.
extension CPUIDTable {
  /// Leaves of CPUID with answers of the board's.
  enum Leaf {
    static let highest: UInt32 = 0
    static let features: UInt32 = 1
    static let caches: UInt32 = 4
    static let moreFeatures: UInt32 = 7
    static let topology: UInt32 = 0xB
    static let enclaves: UInt32 = 0x12
    static let topologyV2: UInt32 = 0x1F
    static let hypervisor: UInt32 = 0x4000_0000
    static let hypervisorFeatures: UInt32 = 0x4000_0001
    static let extendedFeatures: UInt32 = 0x8000_0001
    static let advancedPower: UInt32 = 0x8000_0007
    static let addressSizes: UInt32 = 0x8000_0008
    static let secureMachine: UInt32 = 0x8000_000A
    static let amdCaches: UInt32 = 0x8000_001D
    static let amdTopology: UInt32 = 0x8000_001E
  }

  /// Feature bits that are set or cleared whatever the host's processor has.
  enum Feature {
    /// Leaf 1, ECX.
    static let vmx: UInt32 = 1 << 5
    static let x2APIC: UInt32 = 1 << 21
    static let deadlineTimer: UInt32 = 1 << 24
    static let osXSave: UInt32 = 1 << 27
    static let hypervisor: UInt32 = 1 << 31
    /// Leaf 1, EDX.
    static let apic: UInt32 = 1 << 9
    static let hyperThreading: UInt32 = 1 << 28
    /// Leaf 7, EBX and ECX.
    static let enclaves: UInt32 = 1 << 2
    static let enclaveLaunchControl: UInt32 = 1 << 30
    /// Leaf 0x8000_0001, ECX.
    static let legacyMultiCore: UInt32 = 1 << 1
    static let svm: UInt32 = 1 << 2
    /// Leaf 0x4000_0001, EAX (Linux, Documentation/virt/kvm/x86/cpuid.rst).
    static let paravirtualEOI: UInt32 = 1 << 6
    static let paravirtualUnhalt: UInt32 = 1 << 7
    static let paravirtualIPI: UInt32 = 1 << 11
    static let asyncPageFaultInterrupt: UInt32 = 1 << 14
    static let wideMSIDestination: UInt32 = 1 << 15
  }

  /// The table for CPU number `cpu` of a machine of `count` CPUs: one socket, a core for each CPU, the x2APIC
  /// ID of a CPU its number. `hasLocalAPIC` says whether the kernel plays the CPUs' local APICs.
  ///
  /// Left out of what KVM supports are VMX, SVM and SGX: a saved state holds no nested guests, and guests get no
  /// enclave memory. The invariant TSC is there where KVM says so.
  package func guest(cpu: Int, of count: Int, hasLocalAPIC: Bool = true) -> CPUIDTable {
    var table = self
    table.chooseFeatures(cpu: cpu, of: count, hasLocalAPIC: hasLocalAPIC)
    table.describeHypervisor(hasLocalAPIC: hasLocalAPIC)
    table.describeTopology(cpu: UInt32(cpu), of: UInt32(count))
    return table
  }

  private mutating func chooseFeatures(cpu: Int, of count: Int, hasLocalAPIC: Bool) {
    let needingAPIC = Feature.x2APIC | Feature.deadlineTimer
    change(Leaf.features) { leaf in
      leaf.ecx &= ~(Feature.vmx | Feature.osXSave | needingAPIC)
      leaf.ecx |= Feature.hypervisor | (hasLocalAPIC ? needingAPIC : 0)
      leaf.edx = hasLocalAPIC ? leaf.edx | Feature.apic : leaf.edx & ~Feature.apic
    }
    change(Leaf.moreFeatures) { leaf in
      leaf.ebx &= ~Feature.enclaves
      leaf.ecx &= ~Feature.enclaveLaunchControl
    }
    replace(Leaf.enclaves, with: [])
    change(Leaf.extendedFeatures) { $0.ecx &= ~Feature.svm }
    replace(Leaf.secureMachine, with: [])
  }

  /// The leaves by which a guest finds KVM's clock and the rest of its paravirtual interface.
  private mutating func describeHypervisor(hasLocalAPIC: Bool) {
    // "KVMKVMKVM" and three zeros in EBX, ECX and EDX.
    replace(
      Leaf.hypervisor,
      with: [
        Entry(
          function: Leaf.hypervisor, eax: Leaf.hypervisorFeatures, ebx: 0x4b4d_564b, ecx: 0x564b_4d56,
          edx: 0x4d)
      ])
    let needingAPIC =
      Feature.paravirtualEOI | Feature.paravirtualUnhalt | Feature.paravirtualIPI
      | Feature.asyncPageFaultInterrupt
    change(Leaf.hypervisorFeatures) { leaf in
      // MSIs reach APIC IDs up to 255, and machines have no more.
      leaf.eax &= ~Feature.wideMSIDestination
      if !hasLocalAPIC { leaf.eax &= ~needingAPIC }
      leaf.edx = 0
    }
  }

  // MARK: - Topology

  private mutating func describeTopology(cpu: UInt32, of count: UInt32) {
    /// Bits of an APIC ID that tell the cores of a socket apart.
    let coreBits = UInt32(32 - (count - 1).leadingZeroBitCount)
    let mostCores = (1 as UInt32) << coreBits
    change(Leaf.highest) { $0.eax = max($0.eax, Leaf.topology) }
    change(Leaf.features) { leaf in
      leaf.ebx = leaf.ebx & 0x0000_ffff | cpu << 24 | min(mostCores, 255) << 16
      leaf.edx = count > 1 ? leaf.edx | Feature.hyperThreading : leaf.edx & ~Feature.hyperThreading
    }
    describeCaches(Leaf.caches, mostCores: mostCores) { leaf in
      leaf.eax = leaf.eax & 0x03ff_ffff | (mostCores - 1) << 26
    }
    let levels = [
      // One thread a core, the cores of the socket, and the end of the list.
      Entry(function: Leaf.topology, index: 0, eax: 0, ebx: 1, ecx: 1 << 8, edx: cpu),
      Entry(function: Leaf.topology, index: 1, eax: coreBits, ebx: count, ecx: 2 << 8 | 1, edx: cpu),
      Entry(function: Leaf.topology, index: 2, ecx: 2, edx: cpu),
    ]
    replace(Leaf.topology, with: levels)
    if let highest = self[Leaf.highest]?.eax, highest >= Leaf.topologyV2 {
      replace(
        Leaf.topologyV2,
        with: levels.map {
          Entry(
            function: Leaf.topologyV2, index: $0.index, eax: $0.eax, ebx: $0.ebx, ecx: $0.ecx, edx: $0.edx)
        })
    }
    describeAMDTopology(cpu: cpu, of: count, coreBits: coreBits)
  }

  private mutating func describeAMDTopology(cpu: UInt32, of count: UInt32, coreBits: UInt32) {
    guard isAMD else { return }
    change(Leaf.extendedFeatures) { leaf in
      leaf.ecx = count > 1 ? leaf.ecx | Feature.legacyMultiCore : leaf.ecx & ~Feature.legacyMultiCore
    }
    change(Leaf.addressSizes) { $0.ecx = $0.ecx & ~0xf0ff | coreBits << 12 | (count - 1) }
    describeCaches(Leaf.amdCaches, mostCores: 1 << coreBits) { _ in }
    change(Leaf.amdTopology) { leaf in
      // The APIC ID, the core's number with one thread, and one node.
      (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (cpu, cpu, 0, 0)
    }
  }

  /// Says which CPUs share each cache: the third level all of a socket, the others none.
  private mutating func describeCaches(
    _ function: UInt32, mostCores: UInt32, _ change: (inout Entry) -> Void
  ) {
    for place in entries.indices where entries[place].function == function && entries[place].eax & 0x1f != 0 {
      let level = entries[place].eax >> 5 & 7
      entries[place].eax = entries[place].eax & ~0x03ff_c000 | (level >= 3 ? mostCores - 1 : 0) << 14
      change(&entries[place])
    }
  }

  /// Whether the vendor is AMD, or Hygon, whose processors describe themselves alike.
  private var isAMD: Bool {
    guard let vendor = self[Leaf.highest] else { return false }
    return vendor.ebx == 0x6874_7541 || vendor.ebx == 0x6f67_7948
  }
}
