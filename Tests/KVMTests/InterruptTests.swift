import Glibc
import GuestMemory
import HostSystem
import KVM
import Testing

/// Interrupts from the board to a handler in the guest, and doorbells the other way.
@Suite(.enabled(if: KVMHost.isUsable, KVMHost.reason), .timeLimit(.minutes(30)))
struct InterruptTests {
  /// A guest that says 1 on port 0x80 when it is ready, waits for interrupts, and says each on port 0x81.
  private func waitingGuest(answer: @escaping @Sendable (RecordingBus.Access) -> UInt64 = { _ in 0 }) throws
    -> Guest
  {
    let guest = try Guest([], interruptChip: .split(inputs: 24), answer: answer)
    let setUp = try guest.interruptible(
      handler: Code.write(port: 0x81, 1, 0x40) + Guest.endInterrupt + Code.returnFromInterrupt)
    try guest.put(
      setUp + Guest.enableLocalAPIC + Code.write(port: 0x80, 1, 1) + Code.enableInterrupts
        + Code.waitForInterrupts, at: Guest.Place.code)
    return guest
  }

  private let ready = RecordingBus.Access.portWrite(0x80, width: 1, 1)
  private let handled = RecordingBus.Access.portWrite(0x81, width: 1, 0x40)

  @Test func deliversMessages() throws {
    let guest = try waitingGuest()
    let (machine, cpu) = (guest.machine, guest.cpu)
    guest.bus.onAccess { [ready, handled] access in
      if access == ready { #expect((try? machine.signal(MSIMessage(vector: 0x40, destination: 0))) == true) }
      if access == handled { cpu.kick() }
    }
    #expect(guest.run() == .kicked)
    #expect(guest.bus.accesses == [ready, handled])
    // And again, from the wait within the kernel.
    let sender = try Thread.start(name: "sender") {
      _ = try? machine.signal(MSIMessage(vector: 0x41, destination: 0))
    }
    #expect(guest.run() == .kicked)
    sender.join()
    #expect(guest.bus.accesses == [ready, handled, handled])
  }

  /// Guests choose messages: what none of their CPUs takes is no error.
  @Test func losesMessagesThatReachNobody() throws {
    let guest = try waitingGuest()
    #expect(try !guest.machine.signal(MSIMessage(vector: 0x40, destination: 9)))
    #expect(try !guest.machine.signal(MSIMessage(address: 0x1000, data: 0x40)))
    #expect(try !guest.machine.signal(MSIMessage(address: 0xFEE0_0000 | 1 << 33, data: 0x40)))
    for data in [0 as UInt32, 0x300, 0x700, .max] {
      _ = try guest.machine.signal(MSIMessage(address: 0xFEE0_0000, data: data))
    }
    try guest.machine.setRoutes([
      30: MSIMessage(address: .max, data: .max), 31: MSIMessage(address: 0xFEE0_0000, data: .max),
    ])
  }

  @Test func deliversByDescriptor() throws {
    let guest = try waitingGuest()
    let (machine, cpu) = (guest.machine, guest.cpu)
    let counter = try EventCounter()
    let gsi = try #require(machine.allocateGSI())
    #expect(gsi == 24)
    #expect(machine.allocateGSI() == 25)
    try machine.setRoute(gsi, MSIMessage(vector: 0x40, destination: 0))
    try machine.attachInterrupt(counter, gsi: gsi)
    guest.bus.onAccess { [ready, handled] access in
      if access == ready { counter.signal() }
      if access == handled { cpu.kick() }
    }
    #expect(guest.run() == .kicked)
    #expect(guest.bus.accesses == [ready, handled])

    // Without a route it reaches nobody, and the kernel keeps no account of it; detaching waits for what is on its
    // way. Nor does it when it is detached.
    try machine.setRoute(gsi, nil)
    counter.signal()
    try machine.detachInterrupt(counter, gsi: gsi)
    try machine.setRoute(gsi, MSIMessage(vector: 0x40, destination: 0))
    counter.signal()
    let kicker = try Thread.start(name: "kicker") {
      usleep(50_000)
      cpu.kick()
    }
    #expect(guest.run() == .kicked)
    kicker.join()
    #expect(guest.bus.accesses == [ready, handled])
    try machine.releaseGSI(gsi)
    #expect(machine.allocateGSI() == gsi)
  }

  /// What a message costs its sender by request and by counter; printed where VOLARY_MEASURE is set.
  @Test(.enabled(if: getenv("VOLARY_MEASURE") != nil, "VOLARY_MEASURE=1 measures"))
  func measuresSenders() throws {
    let guest = try waitingGuest()
    let (machine, cpu) = (guest.machine, guest.cpu)
    guest.bus.onAccess { [ready] access in if access == ready { cpu.kick() } }
    #expect(guest.run() == .kicked)
    let (counter, message) = (try EventCounter(), MSIMessage(vector: 0x40, destination: 0))
    let gsi = try #require(machine.allocateGSI())
    try machine.setRoute(gsi, message)
    try machine.attachInterrupt(counter, gsi: gsi)
    let count = 20_000
    func measure(_ body: () throws -> Void) rethrows -> UInt64 {
      let start = monotonicNanoseconds()
      for _ in 0..<count { try body() }
      return (monotonicNanoseconds() - start) / UInt64(count)
    }
    for _ in 0..<5 {
      let request = try measure { _ = try machine.signal(message) }
      let signal = measure { counter.signal() }
      print("a message costs \(request) ns by KVM_SIGNAL_MSI, \(signal) ns by irqfd")
    }
  }

  /// The end of a level-triggered interrupt of an I/O APIC's input comes to the bus, that of others does not.
  @Test func tellsOfEndsOfLevelTriggeredInterrupts() throws {
    let guest = try waitingGuest()
    let (machine, cpu) = (guest.machine, guest.cpu)
    let level = MSIMessage(vector: 0x42, destination: 0, isLevel: true)
    try machine.setRoutes([5: level, 6: MSIMessage(vector: 0x43, destination: 0)])
    guest.bus.onAccess { [ready] access in
      if access == ready {
        _ = try? machine.signal(MSIMessage(vector: 0x43, destination: 0))
        _ = try? machine.signal(level)
      }
      if access == .endOfInterrupt(0x42) || access == .endOfInterrupt(0x43) { cpu.kick() }
    }
    #expect(guest.run() == .kicked)
    let ends = guest.bus.accesses.filter { if case .endOfInterrupt = $0 { true } else { false } }
    #expect(ends == [.endOfInterrupt(0x42)])
  }

  /// Where there is no local APIC, the board waits until the guest can take an interrupt, and hands it over.
  @Test func interruptsWithoutLocalAPIC() throws {
    let guest = try Guest([])
    let setUp = try guest.interruptible(handler: Code.write(port: 0x81, 1, 0x40) + Code.halt)
    try guest.put(
      setUp + Code.write(port: 0x80, 1, 1) + Code.enableInterrupts + Code.spin, at: Guest.Place.code)
    guest.cpu.wantsInterruptWindow = true
    #expect(guest.run() == .interruptWindow)
    #expect(guest.cpu.isReadyForInterrupt)
    #expect(guest.bus.accesses == [ready])
    guest.cpu.wantsInterruptWindow = false
    try guest.cpu.interrupt(vector: 0x33)
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses == [ready, handled])
  }

  @Test func interruptsNonMaskably() throws {
    let guest = try waitingGuest()
    let (cpu, bus) = (guest.cpu, guest.bus)
    bus.onAccess { [handled] access in if access == handled { cpu.kick() } }
    try guest.put(
      try guest.interruptible(handler: Code.write(port: 0x81, 1, 0x40) + Code.returnFromInterrupt)
        + Code.spin,
      at: Guest.Place.code)
    let sender = try Thread.start(name: "sender") {
      usleep(20_000)
      cpu.kick()
    }
    #expect(guest.run() == .kicked)
    sender.join()
    try cpu.interruptNonMaskable()
    #expect(guest.run() == .kicked)
    #expect(bus.accesses == [handled])
  }

  // MARK: - Doorbells

  @Test func ringsDoorbellsInMemory() throws {
    let place = Guest.Place.nothing + 0x1000
    let guest = try Guest(
      Code.write(address: place, 4, 1) + Code.write(address: place, 4, 2) + Code.write(address: place, 4, 3)
        + Code.write(address: place, 2, 1) + Code.halt)
    let one = try EventCounter()
    let two = try EventCounter()
    let oneBell = Doorbell(.memory(place), width: 4, value: 1)
    try guest.machine.attachDoorbell(oneBell, to: one)
    try guest.machine.attachDoorbell(Doorbell(.memory(place), width: 4, value: 2), to: two)
    #expect(guest.run() == .halted)
    // Neither the value 3 nor the width 2 is anybody's.
    #expect(guest.bus.accesses == [.write(place, width: 4, 3), .write(place, width: 2, 1)])
    #expect(one.drain())
    #expect(two.drain())

    guest.bus.forget()
    try guest.machine.detachDoorbell(oneBell, from: one)
    try guest.start()
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses.first == .write(place, width: 4, 1))
    #expect(!one.drain())
    #expect(two.drain())
  }

  @Test func ringsDoorbellsAtPorts() throws {
    let guest = try Guest(
      Code.write(port: 0x510, 2, 0xABCD) + Code.write(port: 0x510, 1, 1) + Code.write(port: 0x511, 2, 0xABCD)
        + Code.halt)
    let counter = try EventCounter()
    try guest.machine.attachDoorbell(Doorbell(.port(0x510), width: 2), to: counter)
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses == [.portWrite(0x510, width: 1, 1), .portWrite(0x511, width: 2, 0xABCD)])
    #expect(counter.drain())
  }

  @Test func ringsDoorbellsOfAnyWidth() throws {
    let place = Guest.Place.nothing + 0x2000
    let guest = try Guest(
      Code.write(address: place, 1, 1) + Code.write(address: place, 8, 2)
        + Code.write(address: place + 8, 2, 3) + Code.halt)
    try #require(guest.system.value(of: .anyWidthDoorbells) > 0)
    let counter = try EventCounter()
    try guest.machine.attachDoorbell(Doorbell(.memory(place), width: 0), to: counter)
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses == [.write(place + 8, width: 2, 3)])
    #expect(counter.drain())
  }
}
