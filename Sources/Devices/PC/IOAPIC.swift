package import GuestMemory
internal import Synchronization

/// The interrupt controller for a PC's wires (Intel 82093AA data sheet; the end-of-interrupt register is that
/// of its successors).
///
/// Each input has an entry in the redirection table that says which message to the local APICs its interrupt
/// becomes. A wire that is high asks, whatever polarity the entry names. An edge sends its message at once. A
/// level is sent once, and looked at again when the CPU has ended the interrupt (``endOfInterrupt(vector:)``).
///
/// Messages and routes go out while the controller is locked, so that they stay in order; who gets them must
/// not call back.
package final class IOAPIC: MMIODevice, InterruptSink {
  /// Byte offsets.
  private enum Register {
    static let index: UInt64 = 0x00
    static let window: UInt64 = 0x10
    static let endOfInterrupt: UInt64 = 0x40
  }

  /// The registers, and what has been told of the table.
  private struct Guarded {
    var state = State()
    var routes = [MSIMessage?](repeating: nil, count: IOAPIC.inputCount)
  }

  /// Inputs count from 0; they are the board's global system interrupts of the same numbers.
  package static let inputCount = 24

  package let name: String
  package let registerSpace: UInt64 = 0x1000
  private let messages: any MSISink
  private let routeChanged: @Sendable (Int, MSIMessage?) -> Void
  private let guarded = Mutex(Guarded())

  /// `messages` gets each interrupt. `routeChanged` hears, of each level-triggered input, which message that
  /// has from now on, or nil for one whose end nobody waits for: who plays the local APICs has to report the
  /// ends of these messages' vectors. A masked input keeps its route, because its interrupt may be in
  /// service still, and because drivers mask often where changing routes is slow.
  package init(
    name: String = "ioapic", messages: any MSISink,
    routeChanged: @escaping @Sendable (_ input: Int, _ message: MSIMessage?) -> Void = { _, _ in }
  ) {
    self.name = name
    self.messages = messages
    self.routeChanged = routeChanged
  }

  /// Masks all inputs. Wires keep their levels: those are their devices'.
  package func reset() { change { $0.reset() } }

  package func setInput(_ input: Int, level: Bool) {
    precondition((0..<Self.inputCount).contains(input), "I/O APIC input \(input) does not exist")
    guarded.withLock { guarded in
      if let message = guarded.state.setInput(input, level: level) { messages.signal(message) }
    }
  }

  /// A CPU has ended an interrupt of a vector: level-triggered inputs that send it are looked at again.
  package func endOfInterrupt(vector: UInt8) { change { $0.end(vector: vector) } }

  /// Changes registers, then tells routes and sends what follows from them. Routes first: the end of an
  /// interrupt may come as soon as it is sent.
  private func change(_ body: (inout State) -> Void) {
    guarded.withLock { guarded in
      body(&guarded.state)
      for input in 0..<Self.inputCount {
        let route = guarded.state.entry(of: input).route
        if guarded.routes[input] != route {
          guarded.routes[input] = route
          routeChanged(input, route)
        }
        if let message = guarded.state.takeLevel(of: input) { messages.signal(message) }
      }
    }
  }

  // MARK: - Registers

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    guard width == 4 else { throw .badWidth }
    return try guarded.withLock { guarded throws(BusFault) in
      switch offset {
      case Register.index: return UInt64(guarded.state.index)
      case Register.window: return UInt64(guarded.state.window)
      case Register.endOfInterrupt: throw .forbidden
      default: throw .noRegister
      }
    }
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    guard width == 4 else { throw .badWidth }
    switch offset {
    case Register.index: guarded.withLock { $0.state.index = UInt8(truncatingIfNeeded: value) }
    case Register.window: change { $0.window = UInt32(truncatingIfNeeded: value) }
    case Register.endOfInterrupt: endOfInterrupt(vector: UInt8(truncatingIfNeeded: value))
    default: throw .noRegister
    }
  }
}

// MARK: - State

extension IOAPIC: StatefulDevice {
  package static let stateKind = "82093aa"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0.state } }
    set { change { $0 = State(newValue) } }
  }
}
