import Foundation
import GuestMemory
import HostSystem
import KVM
import Synchronization
import Testing

/// CPUs taken out of one machine and put into another.
@Suite(.enabled(if: KVMHost.isUsable, KVMHost.reason), .timeLimit(.minutes(30)))
struct StateTests {
  /// Counts in a vector register by way of memory, and says each number on port 0x90:
  /// `again: movups [rbx], xmm0; inc dword [rbx]; movups xmm0, [rbx]; mov eax, [rbx]; out dx, eax; jmp again`.
  private static let counting: [UInt8] =
    Code.load(.rdx, 0x90) + Code.load(.rbx, Guest.Place.data)
    + [0x0F, 0x11, 0x03, 0xFF, 0x03, 0x0F, 0x10, 0x03, 0x8B, 0x03, 0xEF, 0xEB, 0xF3]

  private func countingGuest() throws -> Guest {
    let guest = try Guest(Self.counting, interruptChip: .split(inputs: 24))
    try allowVectors(guest)
    return guest
  }

  /// Sets CR4.OSFXSR, without which there are no vector instructions.
  private func allowVectors(_ guest: Guest) throws {
    var system = try guest.cpu.systemRegisters()
    system.cr4 |= 1 << 9
    try guest.cpu.setSystemRegisters(system)
  }

  private func kick(_ guest: Guest, after count: Int) {
    let cpu = guest.cpu
    let left = Mutex(count)
    guest.bus.onAccess { _ in
      if left.withLock({
        $0 -= 1; return $0 == 0
      }) {
        cpu.kick()
      }
    }
  }

  private func counted(_ numbers: ClosedRange<UInt32>) -> [RecordingBus.Access] {
    numbers.map { .portWrite(0x90, width: 4, $0) }
  }

  @Test func goesOnInAnotherMachine() throws {
    let first = try countingGuest()
    kick(first, after: 20)
    #expect(first.run() == .kicked)
    #expect(first.bus.accesses == counted(1...20))
    let saved = try first.cpu.state()

    // Through a snapshot's bytes.
    let bytes = try JSONEncoder().encode(saved)
    let state = try JSONDecoder().decode(KVMProcessor.State.self, from: bytes)
    #expect(state == saved)

    // Where it counted is left behind: the number is in a vector register alone.
    let second = try Guest(Self.counting, interruptChip: .split(inputs: 24))
    for note in try second.cpu.restore(state) { print(note) }
    kick(second, after: 20)
    #expect(second.run() == .kicked)
    #expect(second.bus.accesses == counted(21...40))

    // And the first one is none the worse.
    first.bus.forget()
    kick(first, after: 5)
    #expect(first.run() == .kicked)
    #expect(first.bus.accesses == counted(21...25))
  }

  /// What is restored is what is saved again, but for clocks.
  @Test func savesWhatWasRestored() throws {
    let first = try countingGuest()
    kick(first, after: 3)
    #expect(first.run() == .kicked)
    let saved = try first.cpu.state()
    let second = try countingGuest()
    let notes = try second.cpu.restore(saved)
    var again = try second.cpu.state()
    #expect(again.general == saved.general)
    #expect(again.system == saved.system)
    #expect(again.debug == saved.debug)
    #expect(again.xcrs == saved.xcrs)
    #expect(again.xsave == saved.xsave)
    #expect(again.activity == saved.activity)
    #expect(again.tscFrequency == saved.tscFrequency)
    #expect(again.events == saved.events)
    let timeStampCounter: UInt32 = 0x10
    /// HV_X64_MSR_VP_RUNTIME and HV_X64_MSR_TIME_REF_COUNT, which run too.
    let clocks: Set<UInt32> = [timeStampCounter, 0x4000_0010, 0x4000_0020]
    let before = saved.msrs.filter { !clocks.contains($0.index) }
    again.msrs.removeAll { clocks.contains($0.index) }
    if notes.isEmpty { #expect(again.msrs == before) }
    #expect(saved.msrs.count > 20)
    let counter = try #require(saved.msrs.first { $0.index == timeStampCounter })
    // KVM takes counters that are set within a second of each other for ones that should be equal.
    let oneSecond = UInt64(saved.tscFrequency) * 1000
    #expect(try #require(try second.cpu.msr(timeStampCounter)) &+ oneSecond >= counter.value)
  }

  /// Model-specific registers that the guest wrote go with it, and those that no host has are named and left out.
  @Test func restoresModelSpecificRegisters() throws {
    let kernelGSBase: UInt32 = 0xC000_0102
    let guest = try Guest(
      Code.load(.rcx, UInt64(kernelGSBase)) + Code.load(.rax, 0x5678_0000) + Code.load(.rdx, 0x1234)
        + [0x0F, 0x30] /* wrmsr */ + Code.halt)
    #expect(guest.run() == .halted)
    var state = try guest.cpu.state()
    #expect(state.msrs.contains(KVMProcessor.MSR(kernelGSBase, 0x1234_5678_0000)))
    let other = try Guest(Code.halt)
    state.msrs.insert(KVMProcessor.MSR(0x0DEA_DBEE, 1), at: state.msrs.count / 2)
    let notes = try other.cpu.restore(state)
    #expect(notes.contains { $0.contains("0xdeadbee cannot be 0x1") })
    #expect(try other.cpu.msr(kernelGSBase) == 0x1234_5678_0000)
    #expect(try other.cpu.msr(0x0DEA_DBEE) == nil)
  }

  @Test func restoresAMaskedInterruptController() throws {
    let guest = try Guest(
      Guest.enableLocalAPIC + Code.write(port: 0x80, 1, 1) + Code.waitForInterrupts,
      interruptChip: .split(inputs: 24))
    let cpu = guest.cpu
    guest.bus.onAccess { _ in cpu.kick() }
    #expect(guest.run() == .kicked)
    let state = try cpu.state()
    let registers = try #require(state.localAPIC)
    // The spurious-interrupt vector register, at 0xF0.
    #expect(registers[0xF0] == 0xFF && registers[0xF1] == 1)
    let other = try Guest(Code.halt, interruptChip: .split(inputs: 24))
    try other.cpu.restore(state)
    #expect(try other.cpu.state().localAPIC == registers)
  }

  /// Damaged states are refused, or taken as far as the kernel takes them; none stops us.
  @Test func refusesDamagedStates() throws {
    let guest = try countingGuest()
    let good = try guest.cpu.state()
    var state = good
    state.localAPIC = nil
    #expect(throws: KVMError.self) { try guest.cpu.restore(state) }
    state = good
    state.localAPIC = [1, 2, 3]
    #expect(throws: KVMError.self) { try guest.cpu.restore(state) }
    state = good
    state.debug.addresses = []
    #expect(throws: KVMError.self) { try guest.cpu.restore(state) }
    state = good
    state.xcrs = (0..<17).map { _ in good.xcrs.first ?? KVMProcessor.XCR(number: 0, value: 1) }
    #expect(throws: KVMError.self) { try guest.cpu.restore(state) }
    state = good
    state.xsave = []
    state.system.acceptedInterrupts = []
    _ = try? guest.cpu.restore(state)
    state = good
    state.activity = .max
    #expect(throws: KVMError.self) { try guest.cpu.restore(state) }
    for place in good.xsave.indices where place % 64 == 0 {
      state = good
      state.xsave[place] ^= 0xFF
      _ = try? guest.cpu.restore(state)
    }
    try guest.cpu.restore(good)
    kick(guest, after: 1)
    #expect(guest.run() == .kicked)
  }

  @Test func keepsTheClock() throws {
    let guest = try Guest(Code.halt)
    try guest.machine.setClock(1_000_000_000_000)
    let then = try guest.machine.clock()
    #expect(then >= 1_000_000_000_000 && then < 1_060_000_000_000)
    let later = try guest.machine.clock()
    #expect(later >= then)
  }
}
