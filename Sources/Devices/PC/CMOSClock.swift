internal import Synchronization

/// A PC's real-time clock and battery-backed memory: the MC146818 (Motorola's data sheet), 128 bytes behind an
/// index port and a data port.
///
/// Time follows the host's from where the guest has set it. Nothing runs while nobody waits for an interrupt:
/// what has happened is found out at the next access.
package final class CMOSClock: PortDevice {
  /// The index port; the data port follows.
  package static let base: UInt16 = 0x70
  /// Where the memory has the century, which ACPI names.
  package static let centuryRegister = UInt8(Register.century)

  package let name: String
  package let portCount = 2
  let interrupt: InterruptLine
  private let clock: @Sendable () -> UInt64
  private let scheduler: any AlarmScheduler
  private let guarded: Mutex<State>

  /// `clock` gives nanoseconds since 1970; `scheduler` goes by the same clock, and is this device's own.
  package init(
    name: String = "rtc", interrupt: InterruptLine, clock: @escaping @Sendable () -> UInt64,
    scheduler: any AlarmScheduler
  ) {
    self.name = name
    self.interrupt = interrupt
    self.clock = clock
    self.scheduler = scheduler
    guarded = Mutex(State(now: clock()))
  }

  /// What the reset pin does: interrupts are disabled. Time and memory stay.
  package func reset() { change { state, _ in state.reset() } }

  package func stop() { scheduler.stop() }

  /// Brings the flags to the present, changes the state, then brings the interrupt line to it and has the next
  /// interrupt called back. Under the lock, so that levels and deadlines stay in order.
  private func change<Result: Sendable>(_ body: (inout State, UInt64) -> Result) -> Result {
    guarded.withLock { state in
      let now = clock()
      state.advance(to: now)
      let result = body(&state, now)
      interrupt.setLevel(state.interrupts)
      if let deadline = state.deadline(now) {
        scheduler.arm(at: deadline) { [weak self] in self?.change { _, _ in } }
      } else {
        scheduler.disarm()
      }
      return result
    }
  }

  // MARK: - Registers

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard width == 1 else { throw .badWidth }
    switch offset {
    // The index cannot be read back.
    case 0: return 0xFF
    case 1: return UInt32(change { state, now in state.read(now) })
    default: throw .noRegister
    }
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard width == 1 else { throw .badWidth }
    let value = UInt8(truncatingIfNeeded: value)
    switch offset {
    // The highest bit masks NMIs, of which the board has none.
    case 0: guarded.withLock { $0.index = value & 0x7F }
    case 1: change { state, now in state.write(value, now) }
    default: throw .noRegister
    }
  }
}

// MARK: - State

extension CMOSClock: StatefulDevice {
  package static let stateKind = "mc146818"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0 } }
    set { change { state, now in state = State(newValue, now: now) } }
  }
}

// MARK: - ACPI

extension CMOSClock: ACPIDescribed {
  package func describe(in systemBus: inout AML.Block, at base: UInt64) {
    systemBus.device("RTC") {
      $0.name("_HID", .eisaID("PNP0B00"))
      $0.name(
        "_CRS",
        .resources([
          .ports(UInt16(truncatingIfNeeded: base), count: UInt8(portCount)),
          .interrupt(interrupt.input, .edge),
        ]))
    }
  }
}
