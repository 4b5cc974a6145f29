internal import Synchronization

/// The registers of ACPI on a board without its fixed hardware (ACPI 6.5 section 4.1): sleep and reset, a timer,
/// and a generic event device by which the host's wishes reach the guest (section 5.6.9).
package final class ACPIPowerManagement: PortDevice {
  /// Offsets from the first port. All but the timer and ``control`` are a byte wide.
  enum Register {
    /// SLEEP_CONTROL_REG (section 4.8.3.7).
    static let sleepControl = 0
    /// SLEEP_STATUS_REG.
    static let sleepStatus = 1
    /// What happened since the last read, which clears it.
    static let events = 2
    /// RESET_REG (section 4.8.3.6).
    static let reset = 4
    /// PM1_CNT of boards with the fixed hardware (section 4.8.3.2), 16 bits wide at the same place: UEFI firmware made
    /// for such a board, and through it Linux, switches off there.
    static let control = 4
    /// The power management timer (section 4.8.3.3), 32 bits wide.
    static let timer = 8
    static let count = 12
  }

  /// What the host tells the guest.
  package struct Events: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The power button was pressed.
    package static let powerButton = Events(rawValue: 1 << 0)
    /// The machine is another one now: it was restored or copied (``VMGenerationID``).
    package static let generationChanged = Events(rawValue: 1 << 1)
    static let all: Events = [.powerButton, .generationChanged]
  }

  package struct State: Codable, Equatable, Sendable {
    /// Events that the guest has not read.
    package var events: Events
    /// WAK_STS: the machine has come back from sleep.
    package var hasWoken: Bool
  }

  /// The bits of the sleep registers (tables 4.19 and 4.20).
  private enum Sleep {
    static let enable: UInt8 = 1 << 5
    static let type: UInt8 = 7 << 2
    static let woken: UInt8 = 1 << 7
  }

  /// The bits of PM1_CNT (table 4.15). SLP_TYP is 0 for soft off, as on the boards that firmware knows.
  private enum Control {
    static let isACPI: UInt16 = 1 << 0
    static let sleepType: UInt16 = 7 << 10
    static let sleepEnable: UInt16 = 1 << 13
  }

  /// SLP_TYP of the state S5, soft off; the only one there is.
  static let softOff: UInt8 = 5
  /// What a write to the reset register has to be.
  static let resetValue: UInt8 = 1
  /// The timer's frequency in hertz.
  package static let timerFrequency: UInt64 = 3_579_545

  package let name: String
  package let portCount = Register.count
  let interrupt: InterruptLine
  private let clock: @Sendable () -> UInt64
  private let request: @Sendable (PowerRequest) -> Void
  private let guarded = Mutex(ACPIPowerManagement.initialState)

  private static let initialState = State(events: [], hasWoken: false)

  /// `interrupt` is the event device's. `clock` gives nanoseconds that only ever grow. `request` is called on the
  /// thread of the CPU that wrote, which it must not wait for.
  package init(
    name: String = "acpi-power", interrupt: InterruptLine, clock: @escaping @Sendable () -> UInt64,
    request: @escaping @Sendable (PowerRequest) -> Void
  ) {
    self.name = name
    self.interrupt = interrupt
    self.clock = clock
    self.request = request
  }

  package func reset() { change { $0 = Self.initialState } }

  /// The host's wish that the guest shuts down.
  package func pressPowerButton() { raise(.powerButton) }

  /// Tells the guest what happened, at the latest when it starts to listen.
  package func raise(_ events: Events) { change { $0.events.formUnion(events.intersection(.all)) } }

  /// Changes the state, then brings the interrupt line to it. Under the lock, so that levels stay in order.
  private func change<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
    guarded.withLock { state in
      let result = body(&state)
      interrupt.setLevel(!state.events.isEmpty)
      return result
    }
  }

  // MARK: - Registers

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    if (Register.timer..<Register.count).contains(offset) {
      guard offset + width <= Register.count else { throw .badWidth }
      return timer >> UInt32(8 * (offset - Register.timer))
    }
    if offset == Register.control, width == 2 { return UInt32(Control.isACPI) }
    guard width == 1 else { throw .badWidth }
    switch offset {
    case Register.sleepControl, Register.reset: return 0
    case Register.sleepStatus:
      return guarded.withLock { $0.hasWoken ? UInt32(Sleep.woken) : 0 }
    case Register.events:
      return change { state in
        defer { state.events = [] }
        return UInt32(state.events.rawValue)
      }
    default: throw .noRegister
    }
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    if (Register.timer..<Register.count).contains(offset) { throw .forbidden }
    if offset == Register.control, width == 2 {
      let value = UInt16(truncatingIfNeeded: value)
      if value & (Control.sleepEnable | Control.sleepType) == Control.sleepEnable {
        request(.powerOff(code: nil))
      }
      return
    }
    guard width == 1 else { throw .badWidth }
    let value = UInt8(truncatingIfNeeded: value)
    switch offset {
    case Register.sleepControl:
      guard value & (Sleep.enable | Sleep.type) == Sleep.enable | Self.softOff << 2 else { return }
      request(.powerOff(code: nil))
    case Register.sleepStatus:
      if value & Sleep.woken != 0 { guarded.withLock { $0.hasWoken = false } }
    case Register.reset: if value == Self.resetValue { request(.reset) }
    case Register.events: throw .forbidden
    default: throw .noRegister
    }
  }

  /// The ticks since the clock's zero.
  private var timer: UInt32 {
    let product = clock().multipliedFullWidth(by: Self.timerFrequency)
    // The high half is less than the frequency, and that less than the divisor.
    return UInt32(truncatingIfNeeded: (1_000_000_000 as UInt64).dividingFullWidth(product).quotient)
  }
}

// MARK: - State

extension ACPIPowerManagement: StatefulDevice {
  package static let stateKind = "acpi-power"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0 } }
    set {
      change { $0 = State(events: newValue.events.intersection(.all), hasWoken: newValue.hasWoken) }
    }
  }
}
