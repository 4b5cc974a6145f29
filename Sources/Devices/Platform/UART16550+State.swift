extension UART16550 {
  /// A character in the receiver, with the errors it came with.
  package struct ReceivedCharacter: Codable, Equatable, Sendable {
    package var byte: UInt8
    package var errors: LineStatus

    package init(byte: UInt8, errors: LineStatus = []) {
      self.byte = byte
      self.errors = errors
    }
  }

  /// The registers, and how they act on one another; nothing here reaches outside.
  ///
  /// The line is infinitely fast: a character written is sent before the write returns, so that the
  /// transmitter is always empty, and characters that stay below the FIFO's trigger level have always
  /// waited long enough for the time-out interrupt.
  package struct State: Codable, Equatable, Sendable {
    package var interruptEnable: InterruptEnable
    package var fifoControl: FIFOControl
    package var lineControl: LineControl
    package var modemControl: ModemControl
    /// Errors that LSR shows until it is read.
    package var lineErrors: LineStatus
    /// Changes that MSR shows until it is read.
    package var modemChanges: ModemStatus
    /// The modem's outputs, as the host sets them.
    package var modemInputs: ModemStatus
    package var scratch: UInt8
    /// The baud rate is the clock over 16 times this.
    package var divisor: UInt16
    /// Characters received and not read, the oldest first.
    package var receiver: [ReceivedCharacter]
    /// The transmitter's interrupt waits to be seen in IIR.
    package var transmitterInterrupt: Bool

    /// Characters that the receiver holds when its FIFO is on.
    static let fifoDepth = 16

    /// After a master reset, with a modem that is connected and ready.
    init() {
      interruptEnable = []
      fifoControl = []
      lineControl = []
      modemControl = []
      lineErrors = []
      modemChanges = []
      modemInputs = [.clearToSend, .dataSetReady, .carrierDetect]
      scratch = 0
      divisor = 0
      receiver = []
      transmitterInterrupt = false
    }

    /// A state from a snapshot, with what no register can hold taken away.
    init(_ other: State) {
      interruptEnable = other.interruptEnable.intersection(.all)
      fifoControl = other.fifoControl.contains(.enable) ? other.fifoControl.intersection(.kept) : []
      lineControl = other.lineControl
      modemControl = other.modemControl.intersection(.all)
      lineErrors = other.lineErrors.intersection(.errors)
      modemChanges = other.modemChanges.intersection(.changes)
      modemInputs = other.modemInputs.intersection(.inputs)
      scratch = other.scratch
      divisor = other.divisor
      receiver = []
      transmitterInterrupt = other.transmitterInterrupt
      receiver = other.receiver.prefix(receiverCapacity).map {
        ReceivedCharacter(byte: $0.byte, errors: $0.errors.intersection(.characterErrors))
      }
    }

    /// Back to the state after power-on; what the host connected stays connected.
    mutating func reset() {
      let modemInputs = self.modemInputs
      self = State()
      self.modemInputs = modemInputs
    }

    // MARK: - Interrupts

    /// The pending and enabled interrupt of the highest priority (table IV of the data sheet).
    var interrupt: InterruptIdentification {
      if interruptEnable.contains(.lineStatus), !lineErrors.isEmpty { return .lineStatus }
      if interruptEnable.contains(.receivedData), !receiver.isEmpty {
        return receiver.count >= fifoControl.triggerLevel ? .receivedData : .characterTimeout
      }
      if interruptEnable.contains(.transmitterEmpty), transmitterInterrupt { return .transmitterEmpty }
      if interruptEnable.contains(.modemStatus), !modemChanges.isEmpty { return .modemStatus }
      return .none
    }

    // MARK: - Receiver

    var receiverCapacity: Int { fifoControl.contains(.enable) ? Self.fifoDepth : 1 }

    /// Room for characters from the line, which loopback cuts off.
    var room: Int {
      modemControl.contains(.loopback) ? 0 : max(0, receiverCapacity - receiver.count)
    }

    /// Takes a character from the line or from the transmitter's loop.
    mutating func accept(_ character: ReceivedCharacter) {
      if receiver.count >= receiverCapacity {
        lineErrors.insert(.overrun)
        // A FIFO keeps what it has; without one the new character overwrites the old.
        guard !fifoControl.contains(.enable) else { return }
        receiver.removeAll()
      }
      receiver.append(character)
      if receiver.count == 1 { revealErrors() }
    }

    /// The oldest character's errors become visible when it is at the FIFO's top.
    private mutating func revealErrors() {
      guard let top = receiver.first else { return }
      lineErrors = lineErrors.intersection(.overrun).union(top.errors)
    }

    private mutating func readCharacter() -> UInt8 {
      guard !receiver.isEmpty else { return 0 }
      let character = receiver.removeFirst()
      revealErrors()
      return character.byte
    }

    private mutating func clearReceiver() {
      receiver.removeAll()
      lineErrors.subtract(.characterErrors)
    }

    // MARK: - Modem

    /// The modem's lines; in loopback they are the modem control outputs.
    var modemLines: ModemStatus {
      guard modemControl.contains(.loopback) else { return modemInputs }
      var lines: ModemStatus = []
      if modemControl.contains(.requestToSend) { lines.insert(.clearToSend) }
      if modemControl.contains(.dataTerminalReady) { lines.insert(.dataSetReady) }
      if modemControl.contains(.out1) { lines.insert(.ringIndicator) }
      if modemControl.contains(.out2) { lines.insert(.carrierDetect) }
      return lines
    }

    /// Does something that may change the modem's lines, and notes which did.
    mutating func changingModemLines(_ change: (inout State) -> Void) {
      let before = modemLines
      change(&self)
      let after = modemLines
      let changed = before.symmetricDifference(after)
      if changed.contains(.clearToSend) { modemChanges.insert(.clearToSendChanged) }
      if changed.contains(.dataSetReady) { modemChanges.insert(.dataSetReadyChanged) }
      if changed.contains(.carrierDetect) { modemChanges.insert(.carrierDetectChanged) }
      if changed.contains(.ringIndicator), before.contains(.ringIndicator) {
        modemChanges.insert(.ringEnded)
      }
    }

    // MARK: - Registers

    /// Reads one of the eight registers, with what reading changes.
    mutating func read(_ register: UInt64) -> UInt8 {
      switch register {
      case Register.data:
        lineControl.contains(.divisorLatchAccess)
          ? UInt8(truncatingIfNeeded: divisor) : readCharacter()
      case Register.interruptEnable:
        lineControl.contains(.divisorLatchAccess)
          ? UInt8(truncatingIfNeeded: divisor >> 8) : interruptEnable.rawValue
      case Register.interruptIdentification: readInterruptIdentification()
      case Register.lineControl: lineControl.rawValue
      case Register.modemControl: modemControl.rawValue
      case Register.lineStatus: readLineStatus()
      case Register.modemStatus: readModemStatus()
      default: scratch
      }
    }

    private mutating func readInterruptIdentification() -> UInt8 {
      let interrupt = self.interrupt
      if interrupt == .transmitterEmpty { transmitterInterrupt = false }
      return interrupt.rawValue
        | (fifoControl.contains(.enable) ? InterruptIdentification.fifosEnabled : 0)
    }

    private mutating func readLineStatus() -> UInt8 {
      var status: LineStatus = [.transmitterHoldingEmpty, .transmitterEmpty]
      status.formUnion(lineErrors)
      if !receiver.isEmpty { status.insert(.dataReady) }
      if fifoControl.contains(.enable), receiver.contains(where: { !$0.errors.isEmpty }) {
        status.insert(.errorInFIFO)
      }
      lineErrors = []
      if !receiver.isEmpty { receiver[0].errors = [] }
      return status.rawValue
    }

    private mutating func readModemStatus() -> UInt8 {
      let status = modemLines.union(modemChanges)
      modemChanges = []
      return status.rawValue
    }

    /// Writes one of the eight registers. Returns the character to send, if that was it.
    mutating func write(_ register: UInt64, _ value: UInt8) throws(BusFault) -> UInt8? {
      switch register {
      case Register.data where lineControl.contains(.divisorLatchAccess):
        divisor = divisor & 0xFF00 | UInt16(value)
      case Register.interruptEnable where lineControl.contains(.divisorLatchAccess):
        divisor = divisor & 0x00FF | UInt16(value) << 8
      case Register.data: return transmit(value)
      case Register.interruptEnable:
        let enable = InterruptEnable(rawValue: value).intersection(.all)
        // The transmitter is empty, which counts as news to whoever starts to listen.
        if enable.contains(.transmitterEmpty), !interruptEnable.contains(.transmitterEmpty) {
          transmitterInterrupt = true
        }
        interruptEnable = enable
      case Register.interruptIdentification: writeFIFOControl(FIFOControl(rawValue: value))
      case Register.lineControl: lineControl = LineControl(rawValue: value)
      case Register.modemControl:
        changingModemLines { $0.modemControl = ModemControl(rawValue: value).intersection(.all) }
      case Register.lineStatus, Register.modemStatus: throw .forbidden
      default: scratch = value
      }
      return nil
    }

    /// Sends a character, which leaves the transmitter empty again.
    private mutating func transmit(_ byte: UInt8) -> UInt8? {
      transmitterInterrupt = true
      guard modemControl.contains(.loopback) else { return byte }
      accept(ReceivedCharacter(byte: byte))
      return nil
    }

    private mutating func writeFIFOControl(_ control: FIFOControl) {
      let toggled = control.contains(.enable) != fifoControl.contains(.enable)
      if toggled || control.isSuperset(of: [.enable, .resetReceiver]) { clearReceiver() }
      // The other bits are programmed only together with the enable bit.
      fifoControl = control.contains(.enable) ? control.intersection(.kept) : []
    }
  }
}
