internal import Synchronization

/// A serial port: the NS16550A with its FIFOs of 16 characters (National Semiconductor PC16550D data
/// sheet), its registers a byte apart.
///
/// What the guest sends goes to a closure at once. What the host has for the guest it offers to
/// ``receive(_:)``, keeps what was not taken, and offers again when it is told that there is room.
package final class UART16550: MMIODevice {
  /// The registers, and whether the host has more for us than we could take.
  private struct Guarded {
    var state = State()
    var hostWaits = false

    /// True, once, when a host that waits should offer again. The receiver is let run empty first, so
    /// that the host is woken for sixteen characters, not for each.
    mutating func takeRoomNotice() -> Bool {
      guard hostWaits, state.receiver.isEmpty, state.room > 0 else { return false }
      hostWaits = false
      return true
    }
  }

  /// The baud rate generator's input in hertz, as the device tree states it.
  package static let clockFrequency: UInt32 = 3_686_400

  package let name: String
  package let registerSpace: UInt64 = 0x100
  let interrupt: InterruptLine
  private let output: @Sendable (UInt8) -> Void
  private let hasRoom: @Sendable () -> Void
  private let guarded = Mutex(Guarded())

  /// Both closures are called on the thread of the CPU that accesses the port, while no lock is held:
  /// `output` with each character sent, `hasRoom` when ``receive(_:)``, having refused something, would
  /// take some now.
  package init(
    name: String = "serial", interrupt: InterruptLine, output: @escaping @Sendable (UInt8) -> Void,
    hasRoom: @escaping @Sendable () -> Void = {}
  ) {
    self.name = name
    self.interrupt = interrupt
    self.output = output
    self.hasRoom = hasRoom
  }

  package func reset() { change { $0.reset() } }

  /// Changes the state by `body`, then brings the interrupt line to it and wakes a host that waits.
  private func change<Result: Sendable, Fault>(
    _ body: (inout State) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    let (result, roomMade) = try guarded.withLock { guarded throws(Fault) in
      let result = try body(&guarded.state)
      sync(guarded.state)
      return (result, guarded.takeRoomNotice())
    }
    if roomMade { hasRoom() }
    return result
  }

  /// Brings the interrupt line to what the registers say. Under the lock, so that levels stay in order.
  private func sync(_ state: State) { interrupt.setLevel(state.interrupt != .none) }

  // MARK: - Registers

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    guard offset < Register.count else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    return UInt64(change { $0.read(offset) })
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    guard offset < Register.count else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    let sent = try change { state throws(BusFault) in
      try state.write(offset, UInt8(truncatingIfNeeded: value))
    }
    if let sent { output(sent) }
  }

  // MARK: - The host's side

  /// Offers characters to the guest. Returns how many were taken, from the first; of the rest the host
  /// hears again.
  package func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
    guarded.withLock { guarded in
      let taken = min(bytes.count, guarded.state.room)
      for byte in bytes.prefix(taken) {
        guarded.state.accept(ReceivedCharacter(byte: byte))
      }
      guarded.hostWaits = taken < bytes.count
      sync(guarded.state)
      return taken
    }
  }

  /// As ``receive(_:)-(UnsafeRawBufferPointer)``.
  package func receive(_ bytes: [UInt8]) -> Int { bytes.withUnsafeBytes { receive($0) } }

  /// Sends a break to the guest; false if there is no room for it now.
  package func receiveBreak() -> Bool {
    guarded.withLock { guarded in
      guard guarded.state.room > 0 else {
        guarded.hostWaits = true
        return false
      }
      guarded.state.accept(ReceivedCharacter(byte: 0, errors: .breakInterrupt))
      sync(guarded.state)
      return true
    }
  }

  /// Sets the levels that come from the modem: clear to send, data set ready, ring, carrier.
  package func setModemInputs(_ inputs: ModemStatus) {
    change { state in
      state.changingModemLines { $0.modemInputs = inputs.intersection(.inputs) }
    }
  }
}

// MARK: - State

extension UART16550: StatefulDevice {
  package static let stateKind = "ns16550a"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0.state } }
    set { change { $0 = State(newValue) } }
  }
}

// MARK: - Device tree

extension UART16550: DeviceTreeDescribed {
  package func describe(in bus: inout DeviceTree.Node, at base: UInt64) {
    bus.node(name, at: base) {
      $0.property("compatible", .string("ns16550a"))
      $0.property("reg", .u64([base, registerSpace]))
      $0.property("interrupts", .cells([UInt32(interrupt.input)]))
      $0.property("clock-frequency", .cells([Self.clockFrequency]))
      $0.property("reg-shift", .cells([0]))
    }
  }
}
