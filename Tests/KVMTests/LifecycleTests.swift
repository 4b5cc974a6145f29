import Glibc
import GuestMemory
import HostSystem
import KVM
import Synchronization
import Testing

/// How CPUs start, stop and end.
@Suite(.enabled(if: KVMHost.isUsable, KVMHost.reason), .timeLimit(.minutes(30)))
struct LifecycleTests {
  @Test func enters64BitCode() throws {
    let guest = try Guest(Code.halt)
    #expect(guest.run() == .halted)
    let registers = try guest.cpu.generalRegisters()
    #expect(registers.rip == Guest.Place.code + 1)
    #expect(registers.rsi == 0x7000)
    #expect(registers.rflags & 1 << 9 == 0)
  }

  /// What a kernel finds at its PVH entry (Xen's docs/misc/pvh.pandoc).
  @Test func entersAtPVH() throws {
    let guest = try Guest([])
    // mov eax, ebx; out 0x80, eax; mov eax, cr0; out 0x81, eax; mov eax, cs; out 0x82, eax; hlt
    try guest.put(
      [0x89, 0xD8, 0xE7, 0x80, 0x0F, 0x20, 0xC0, 0xE7, 0x81, 0x8C, 0xC8, 0xE7, 0x82, 0xF4],
      at: Guest.Place.code)
    _ = try guest.machine.reset(
      entering: .pvh(address: UInt32(Guest.Place.code), startInfo: 0x6000))
    #expect(guest.run() == .halted)
    #expect(
      guest.bus.accesses == [
        .portWrite(0x80, width: 4, 0x6000), .portWrite(0x81, width: 4, 0x11),
        .portWrite(0x82, width: 4, 0x10),
      ])
    let system = try guest.cpu.systemRegisters()
    #expect(system.cs.base == 0 && system.cs.limit == .max && system.cs.db == 1)
    #expect(system.efer == 0 && system.cr4 == 0)
  }

  /// From the reset vector into firmware that guests can only read.
  @Test func startsInReadOnlyFirmware() throws {
    let guest = try Guest([])
    let firmware = try Mapping.map(size: 0x10000)
    let code: [UInt8] = [
      0xB0, 0x55,  // mov al, 0x55
      0x2E, 0xA2, 0x00, 0x10,  // mov cs:[0x1000], al
      0x2E, 0xA0, 0x00, 0x10,  // mov al, cs:[0x1000]
      0xE6, 0x80,  // out 0x80, al
      0xF4,
    ]
    (firmware.base + 0xF000).copyMemory(from: code, byteCount: code.count)
    // At the reset vector: jmp to it, 16 bytes below the end.
    let jump: [UInt8] = [0xE9] + Code.bytes(UInt64(bitPattern: Int64(0xF000 - 0xFFF3)), 2)
    (firmware.base + 0xFFF0).copyMemory(from: jump, byteCount: 3)
    (firmware.base + 0x1000).storeBytes(of: 0x77, as: UInt8.self)
    try guest.machine.addReadOnly(firmware, at: 0xFFFF_0000)
    _ = try guest.machine.reset(entering: .powerOn)
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses == [.write(0xFFFF_1000, width: 1, 0x55), .portWrite(0x80, width: 1, 0x77)])
    #expect((firmware.base + 0x1000).load(as: UInt8.self) == 0x77)

    // Without it even the first instruction is nowhere.
    try guest.machine.removeReadOnly(at: 0xFFFF_0000)
    _ = try guest.machine.reset(entering: .powerOn)
    let exit = guest.run()
    #expect(exit != .halted)
    // And there is room for it again.
    try guest.machine.addReadOnly(firmware, at: 0xFFFF_0000)
    guest.bus.forget()
    _ = try guest.machine.reset(entering: .powerOn)
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses.count == 2)
  }

  @Test func tellsOfTripleFaults() throws {
    let guest = try Guest(Code.undefined)
    #expect(guest.run() == .shutdown)
    // And starts anew after one.
    try guest.put(Code.halt, at: Guest.Place.code)
    try guest.start()
    #expect(guest.run() == .halted)
  }

  // MARK: - Kicks

  @Test func kickBeforeRunningIsNotLost() throws {
    let guest = try Guest(Code.write(port: 0x80, 1, 1) + Code.halt)
    guest.cpu.kick()
    #expect(guest.run() == .kicked)
    #expect(try guest.cpu.generalRegisters().rip == Guest.Place.code)
    #expect(guest.bus.accesses.isEmpty)
    #expect(guest.run() == .halted)
  }

  /// An access that the bus has answered is completed before the CPU comes back.
  @Test func kickCompletesAccesses() throws {
    let guest = try Guest(
      Code.load(.rdx, 0x60) + Code.in(4) + Code.halt, answer: { _ in 0xCAFE_F00D })
    let cpu = guest.cpu
    guest.bus.onAccess { _ in cpu.kick() }
    #expect(guest.run() == .kicked)
    let registers = try cpu.generalRegisters()
    #expect(registers.rax == 0xCAFE_F00D)
    #expect(registers.rip == Guest.Place.code + 11)
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses.count == 1)
  }

  @Test(arguments: [false, true]) func kickStopsCodeThatSpins(_ halts: Bool) throws {
    // With a local APIC in the kernel a CPU that has halted waits there.
    let guest = try Guest(
      Code.write(port: 0x80, 1, 1) + (halts ? Code.waitForInterrupts : Code.spin),
      interruptChip: halts ? .split(inputs: 24) : .none)
    let cpu = guest.cpu
    let thread = Mutex<HostSystem.Thread?>(nil)
    guest.bus.onAccess { _ in
      let kicker = try? HostSystem.Thread.start(name: "kicker") {
        usleep(20_000)
        cpu.kick()
      }
      thread.withLock { $0 = kicker }
    }
    #expect(guest.run() == .kicked)
    thread.withLock { $0 }?.join()
    let offset = try cpu.generalRegisters().rip - Guest.Place.code
    #expect(offset >= 21 && offset <= 24)
  }

  /// Whenever a kick comes, the run loop comes back for it.
  @Test func noKickIsLostInARace() throws {
    let guest = try Guest(Code.spin)
    let cpu = guest.cpu
    let rounds = 400
    let shared = Counters()
    let kicker = try HostSystem.Thread.start(name: "kicker") {
      for round in 0..<rounds {
        while shared.begun.load(ordering: .sequentiallyConsistent) <= round { hostYield() }
        // A little later each time, so that kicks meet the CPU before, at and after its entry.
        for _ in 0..<(round % 40 * 25) { _ = shared.begun.load(ordering: .sequentiallyConsistent) }
        cpu.kick()
        var deadline = monotonicNanoseconds() + 10_000_000_000
        while shared.returned.load(ordering: .sequentiallyConsistent) <= round {
          if monotonicNanoseconds() > deadline {
            shared.lost.add(1, ordering: .relaxed)
            cpu.kick()
            deadline = .max
          }
          hostYield()
        }
      }
    }
    for _ in 0..<rounds {
      shared.begun.add(1, ordering: .sequentiallyConsistent)
      #expect(guest.run() == .kicked)
      shared.returned.add(1, ordering: .sequentiallyConsistent)
    }
    kicker.join()
    #expect(shared.lost.load(ordering: .relaxed) == 0)
  }

  @Test func pausesUntilResumed() throws {
    let guest = try Guest(
      Code.write(port: 0x80, 1, 1) + Code.spin, cpus: 2, interruptChip: .split(inputs: 24))
    let machine = guest.machine
    let bus = guest.bus
    let exits = Mutex<[KVMExit]>([])
    let threads = try machine.processors.map { cpu in
      try HostSystem.Thread.start(name: "cpu") {
        let exit = cpu.run(bus: bus)
        exits.withLock { $0.append(exit) }
      }
    }
    while bus.accesses.isEmpty { hostYield() }
    machine.pause()
    for thread in threads { thread.join() }
    #expect(exits.withLock { $0 } == [.paused, .paused])
    #expect(guest.run() == .paused)
    machine.resume()
    guest.cpu.kick()
    #expect(guest.run() == .kicked)
  }

  // MARK: - Several CPUs

  /// The first CPU starts all others with the messages that kernels send (Intel SDM volume 3A, 9.4.4.1), and each
  /// of them says which it is.
  @Test(arguments: [2, 64]) func startsTheOtherCPUs(count: Int) throws {
    let interruptCommand = Guest.Place.localAPIC + 0x300
    // To all but itself: INIT, then where they start.
    let guest = try Guest(
      Guest.enableLocalAPIC + Code.store32(interruptCommand, 0xC_4500)
        + Code.store32(interruptCommand, 0xC_4600 | UInt32(Guest.Place.startup >> 12))
        + Code.waitForInterrupts,
      cpus: count, interruptChip: .split(inputs: 24))
    // In real mode: mov eax, 1; cpuid; mov eax, ebx; out 0x82, eax; hlt
    try guest.put(
      [0x66, 0xB8, 1, 0, 0, 0, 0x0F, 0xA2, 0x66, 0x89, 0xD8, 0x66, 0xE7, 0x82, 0xF4], at: Guest.Place.startup)
    let machine = guest.machine
    let bus = guest.bus
    let spoken = Atomic<Int>(1)
    bus.onAccess { _ in
      if spoken.add(1, ordering: .relaxed).newValue == count { machine.pause() }
    }
    let threads = try machine.processors.map { cpu in
      try HostSystem.Thread.start(name: "cpu") { _ = cpu.run(bus: bus) }
    }
    for thread in threads { thread.join() }
    var identities: Set<UInt32> = []
    for access in bus.accesses {
      guard case .portWrite(0x82, width: 4, let identification) = access else {
        Issue.record("a CPU did something else: \(access)")
        continue
      }
      identities.insert(identification >> 24)
      #expect(identification >> 16 & 0xFF == count)
    }
    #expect(identities == Set(1..<UInt32(count)) && bus.accesses.count == count - 1)
  }
}

/// What a race's two sides count.
private final class Counters: Sendable {
  let begun = Atomic<Int>(0)
  let returned = Atomic<Int>(0)
  let lost = Atomic<Int>(0)
}
