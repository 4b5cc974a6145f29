import CHost
import HostSystem
import KVM
import Testing

/// What the kernel says of exits, made up. Needs no KVM.
@Suite struct RunAreaTests {
  private static let size = 0x3000

  private final class Made {
    let file: Descriptor
    let view: Mapping
    let area: RunArea
    let bus = RecordingBus(answer: { _ in 0x8877_6655_4433_2211 })

    init(reason: Int32) throws {
      file = try Descriptor.memory(name: "run-area")
      try file.truncate(to: Int64(size))
      view = try Mapping.map(size: size, descriptor: file)
      area = try RunArea(file, size: size)
      set(volary_kvm_run_exit_reason, UInt32(bitPattern: reason))
    }

    func set<T: BitwiseCopyable>(_ offset: Int, _ value: T) {
      view.base.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    func setPort(width: UInt8, count: UInt32, offset: UInt64, direction: UInt8 = 1) {
      set(volary_kvm_run_io_direction, direction)
      set(volary_kvm_run_io_size, width)
      set(volary_kvm_run_io_port, 0x80 as UInt16)
      set(volary_kvm_run_io_count, count)
      set(volary_kvm_run_io_data_offset, offset)
    }

    func setMemory(count: UInt32, isWrite: UInt8) {
      set(volary_kvm_run_mmio_address, 0x1000 as UInt64)
      set(volary_kvm_run_mmio_data, 0x0807_0605_0403_0201 as UInt64)
      set(volary_kvm_run_mmio_length, count)
      set(volary_kvm_run_mmio_is_write, isWrite)
    }

    var data: UInt64 { view.base.loadUnaligned(fromByteOffset: volary_kvm_run_mmio_data, as: UInt64.self) }
  }

  @Test(
    arguments: [
      (0, 1, 0x1000), (3, 1, 0x1000), (8, 1, 0x1000), (255, 1, 0x1000), (1, 1, 0), (1, 1, 0x90F),
      (4, 0x800, 0x1004),
      (1, 1, 0x3000), (4, 1, 0x2FFD), (4, UInt32.max, 0x1000), (1, 1, UInt64.max), (4, 2, UInt64.max - 3),
    ] as [(UInt8, UInt32, UInt64)])
  func refusesPortAccesses(_ access: (width: UInt8, count: UInt32, offset: UInt64)) throws {
    for direction in [0, 1] as [UInt8] {
      let made = try Made(reason: KVM_EXIT_IO)
      made.setPort(width: access.width, count: access.count, offset: access.offset, direction: direction)
      guard case .malformed = made.area.answer(made.bus) else {
        Issue.record("\(access) was carried out")
        continue
      }
      #expect(made.bus.accesses.isEmpty)
    }
  }

  @Test func takesPortAccessesUpToTheEnd() throws {
    let made = try Made(reason: KVM_EXIT_IO)
    made.setPort(width: 4, count: 1024, offset: 0x2000, direction: 0)
    #expect(made.area.answer(made.bus) == nil)
    #expect(made.bus.accesses.count == 1024)
    #expect(made.view.base.load(fromByteOffset: 0x2FFC, as: UInt32.self) == 0x4433_2211)
    #expect(made.view.base.load(fromByteOffset: 0x1FFC, as: UInt32.self) == 0)
  }

  @Test(arguments: [0, 9, 255, UInt32.max]) func refusesMemoryAccesses(_ count: UInt32) throws {
    for isWrite in [0, 1] as [UInt8] {
      let made = try Made(reason: KVM_EXIT_MMIO)
      made.setMemory(count: count, isWrite: isWrite)
      guard case .malformed = made.area.answer(made.bus) else {
        Issue.record("\(count) bytes were carried out")
        continue
      }
      #expect(made.bus.accesses.isEmpty)
    }
  }

  /// Whatever the length, all bytes arrive, in widths that devices know.
  @Test(arguments: 1...8) func dividesMemoryAccesses(_ count: Int) throws {
    let made = try Made(reason: KVM_EXIT_MMIO)
    made.setMemory(count: UInt32(count), isWrite: 1)
    #expect(made.area.answer(made.bus) == nil)
    var next: UInt64 = 0x1000
    for access in made.bus.accesses {
      guard case .write(next, let width, let value) = access else {
        Issue.record("\(access) is not at 0x\(String(next, radix: 16))")
        return
      }
      #expect([1, 2, 4, 8].contains(width))
      for byte in 0..<width {
        #expect(value >> UInt64(8 * byte) & 0xFF == next - 0x1000 + UInt64(byte) + 1)
      }
      next += UInt64(width)
    }
    #expect(next == 0x1000 + UInt64(count))

    let read = try Made(reason: KVM_EXIT_MMIO)
    read.setMemory(count: UInt32(count), isWrite: 0)
    #expect(read.area.answer(read.bus) == nil)
    // Each part gets the lowest bytes of the answer.
    let parts: [Int: UInt64] = [
      1: 0x11, 2: 0x2211, 3: 0x11_2211, 4: 0x4433_2211, 5: 0x11_4433_2211, 6: 0x2211_4433_2211,
      7: 0x11_2211_4433_2211, 8: 0x8877_6655_4433_2211,
    ]
    #expect(read.data == parts[count])
  }

  @Test func tellsWhyCPUsStop() throws {
    func exit(_ reason: Int32, _ fill: (Made) -> Void = { _ in }) throws -> KVMExit? {
      let made = try Made(reason: reason)
      fill(made)
      return made.area.answer(made.bus)
    }
    #expect(try exit(KVM_EXIT_HLT) == .halted)
    #expect(try exit(KVM_EXIT_SHUTDOWN) == .shutdown)
    #expect(try exit(KVM_EXIT_IRQ_WINDOW_OPEN) == .interruptWindow)
    #expect(try exit(KVM_EXIT_INTR) == nil)
    #expect(try exit(KVM_EXIT_DEBUG) == .unexpected(reason: 4))
    #expect(try exit(-1) == .unexpected(reason: .max))
    let refused = try exit(KVM_EXIT_FAIL_ENTRY) {
      $0.set(volary_kvm_run_entry_reason, 0x8000_0021 as UInt64)
      $0.set(volary_kvm_run_entry_cpu, 3 as UInt32)
    }
    #expect(refused == .failedEntry(reason: 0x8000_0021, cpu: 3))
    #expect("\(try #require(refused))".contains("0x80000021"))
    for (type, event) in [(1, .shutdown), (2, .reset), (3, .crash), (9, .other(9))]
      as [(UInt32, KVMExit.SystemEvent)]
    {
      #expect(
        try exit(KVM_EXIT_SYSTEM_EVENT) { $0.set(volary_kvm_run_event_type, type) } == .systemEvent(event))
    }
    let ended = try Made(reason: KVM_EXIT_IOAPIC_EOI)
    ended.set(volary_kvm_run_eoi_vector, 0x51 as UInt8)
    #expect(ended.area.answer(ended.bus) == nil)
    #expect(ended.bus.accesses == [.endOfInterrupt(0x51)])
  }

  @Test func tellsWhatKVMCouldNotDo() throws {
    func error(_ suberror: UInt32, _ words: [UInt64], count: UInt32? = nil) throws -> String {
      let made = try Made(reason: KVM_EXIT_INTERNAL_ERROR)
      made.set(volary_kvm_run_suberror, suberror)
      made.set(volary_kvm_run_internal_count, count ?? UInt32(words.count))
      for (place, word) in words.enumerated() { made.set(volary_kvm_run_internal_data + 8 * place, word) }
      return try #require(made.area.answer(made.bus)).description
    }
    // Two bytes of instruction: their number, then they themselves.
    #expect(
      try error(1, [1, 0x0B0F02, 0]) == "KVM cannot go on: an instruction could not be emulated: 0f 0b")
    #expect(try error(1, [1, .max, .max]).hasSuffix("ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff"))
    #expect(try error(3, [0xEC]) == "KVM cannot go on: delivering an event made the guest exit: 0xec")
    #expect(try error(9, []) == "KVM cannot go on: error 9")
    #expect(try error(2, [], count: .max).hasPrefix("KVM cannot go on: exceptions came together"))
  }
}
