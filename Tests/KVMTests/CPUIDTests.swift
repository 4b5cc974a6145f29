import KVM
import Testing

/// What guests are told of their processor.
@Suite struct CPUIDTests {
  /// As an Intel processor might have it.
  private let intel = CPUIDTable(entries: [
    .init(function: 0, eax: 0x1F, ebx: 0x756E_6547, ecx: 0x6C65_746E, edx: 0x4965_6E69),
    .init(function: 1, eax: 0x606A6, ebx: 0x0102_0800, ecx: 0x0000_2021, edx: 0x0F8B_FBFF),
    .init(function: 4, index: 0, eax: 0x0400_0121),
    .init(function: 4, index: 3, eax: 0x0400_4163),
    .init(function: 4, index: 4),
    .init(function: 7, index: 0, ebx: 0x4 | 0x20, ecx: 1 << 30),
    .init(function: 0x12, index: 0, eax: 3),
    .init(function: 0x1F, index: 0),
    .init(function: 0x4000_0000, eax: 0x4000_0001),
    .init(function: 0x4000_0001, eax: 0x0100_FEFB),
    .init(function: 0x8000_0007, edx: 0x100),
  ])

  /// The topology as Linux reads it from leaf 0xB: shifts of levels, and IDs that they take apart.
  @Test(arguments: [1, 2, 3, 8, 64]) func describesTopology(_ count: Int) throws {
    for cpu in 0..<count {
      let table = intel.guest(cpu: cpu, of: count)
      for leaf in [0xB, 0x1F] as [UInt32] {
        let threads = try #require(table[leaf, 0])
        let cores = try #require(table[leaf, 1])
        #expect(threads.ecx >> 8 & 0xFF == 1 && threads.ebx == 1 && threads.eax == 0)
        #expect(cores.ecx == 0x201 && cores.ebx == UInt32(count))
        // All CPUs are in one socket, and the shift is the smallest that says so.
        #expect(1 << cores.eax >= count && (cores.eax == 0 || 1 << (cores.eax - 1) < count))
        #expect(threads.edx == UInt32(cpu) && cores.edx == UInt32(cpu))
        #expect(table[leaf, 2]?.ecx == 2)
      }
      let features = try #require(table[1])
      #expect(features.ebx >> 24 == UInt32(cpu))
      #expect((features.edx >> 28 & 1 != 0) == (count > 1))
      #expect(Int(features.ebx >> 16 & 0xFF) >= count)
      #expect(features.ebx >> 8 & 0xFF == 8)
      // The first level is a core's own, the third the socket's.
      let mostCores = 1 << (try #require(table[0xB, 1]).eax)
      #expect(try #require(table[4, 0]).eax == 0x121 | UInt32(mostCores - 1) << 26)
      #expect(try #require(table[4, 3]).eax >> 14 & 0xFFF == UInt32(mostCores - 1))
      #expect(table[4, 4]?.eax == 0)
    }
  }

  @Test func describesAMDTopology() throws {
    let amd = CPUIDTable(entries: [
      .init(function: 0, eax: 0xD, ebx: 0x6874_7541, ecx: 0x444D_4163, edx: 0x6974_6E65),
      .init(function: 1, ebx: 0x800), .init(function: 0x8000_0001, ecx: 1 << 22 | 1 << 2),
      .init(function: 0x8000_0008, eax: 0x3030, ecx: 0x7007),
      .init(function: 0x8000_001D, index: 0, eax: 0x4121),
      .init(function: 0x8000_001D, index: 3, eax: 0x1C163),
      .init(function: 0x8000_001E, eax: 9, ebx: 0x109, ecx: 7),
    ])
    let table = amd.guest(cpu: 2, of: 3)
    #expect(table[0x8000_0001]?.ecx == 1 << 22 | 1 << 1)
    #expect(table[0x8000_0008]?.ecx == 0x2002)
    #expect(table[0x8000_001D, 0]?.eax == 0x121)
    #expect(table[0x8000_001D, 3]?.eax == 0xC163)
    #expect(table[0x8000_001E] == .init(function: 0x8000_001E, eax: 2, ebx: 2))
    #expect(table[0xB, 1]?.eax == 2)
  }

  @Test func choosesFeatures() throws {
    let table = intel.guest(cpu: 0, of: 1)
    let features = try #require(table[1]).ecx
    // CMPXCHG16B and SSE3 as they were; the hypervisor, x2APIC and the deadline timer beside them; VMX not.
    #expect(features == 0x2001 | 1 << 31 | 1 << 21 | 1 << 24)
    #expect(table[7]?.ebx == 0x20 && table[7]?.ecx == 0 && table[0x12] == nil)
    #expect(table[0x8000_0007]?.edx == 0x100)
    let signature = try #require(table[0x4000_0000])
    let text = [signature.ebx, signature.ecx, signature.edx].flatMap { Code.bytes(UInt64($0), 4) }
    #expect(String(decoding: text, as: UTF8.self) == "KVMKVMKVM\0\0\0")
    #expect(table[0x4000_0001]?.eax == 0x0100_7EFB)
    let bare = intel.guest(cpu: 0, of: 1, hasLocalAPIC: false)
    #expect(try #require(bare[1]).ecx == 0x2001 | 1 << 31)
    #expect(bare[0x4000_0001]?.eax == 0x0100_363B)
  }

  /// A table from elsewhere keeps nothing that this host does not have, and all else.
  @Test func restrictsForeignTables() throws {
    var foreign = intel.guest(cpu: 0, of: 2)
    foreign.entries.append(.init(function: 0x8000_0001, ecx: .max, edx: .max))
    let restricted = foreign.restricted(to: intel)
    #expect(restricted[1]?.ecx == 0x2001)
    #expect(restricted[7]?.ebx == 0x20)
    #expect(restricted[0x8000_0001]?.ecx == 0)
    #expect(restricted[4, 3] == foreign[4, 3])
    #expect(restricted.guest(cpu: 1, of: 2) == foreign.restricted(to: intel).guest(cpu: 1, of: 2))
    #expect(restricted.guest(cpu: 0, of: 2)[1]?.ecx == foreign[1]?.ecx)
  }

  /// A guest's own CPUID instructions say what the table does.
  @Test(
    .enabled(if: KVMHost.isUsable, KVMHost.reason), arguments: [(0, 0), (1, 0), (0xB, 1), (0x4000_0000, 0)])
  func guestsAreToldSo(_ leaf: (function: Int, index: Int)) throws {
    let guest = try Guest(
      Code.load(.rax, UInt64(leaf.function)) + Code.load(.rcx, UInt64(leaf.index)) + Code.cpuid + Code.halt)
    #expect(guest.run() == .halted)
    let registers = try guest.cpu.generalRegisters()
    let entry = try #require(guest.cpu.cpuid[UInt32(leaf.function), UInt32(leaf.index)])
    #expect(registers.rax == UInt64(entry.eax))
    #expect(registers.rbx == UInt64(entry.ebx))
    // A KVM that is no hardware may add features of the host's processor.
    guard leaf.function != 1 || KVMHost.isHardware else {
      #expect(registers.rcx & UInt64(entry.ecx) == UInt64(entry.ecx))
      return
    }
    // Bit 27, which says what the guest itself has switched on, is KVM's affair.
    #expect(registers.rcx & ~(leaf.function == 1 ? 1 << 27 : 0) == UInt64(entry.ecx))
    // As is bit 9: there is a local APIC for who has not switched it off, even where KVM plays none.
    let apic: UInt64 = leaf.function == 1 ? 1 << 9 : 0
    #expect(registers.rdx & ~apic == UInt64(entry.edx) & ~apic)
  }
}
