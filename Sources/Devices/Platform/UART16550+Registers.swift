// The NS16550A's registers (National Semiconductor PC16550D data sheet, section 8).

extension UART16550 {
  /// Byte offsets.
  enum Register {
    /// Receiver buffer (read), transmitter holding (write), or the divisor's low byte.
    static let data: UInt64 = 0
    /// Interrupt enable, or the divisor's high byte.
    static let interruptEnable: UInt64 = 1
    /// Interrupt identification (read), FIFO control (write).
    static let interruptIdentification: UInt64 = 2
    static let lineControl: UInt64 = 3
    static let modemControl: UInt64 = 4
    static let lineStatus: UInt64 = 5
    static let modemStatus: UInt64 = 6
    static let scratch: UInt64 = 7
    static let count: UInt64 = 8
  }

  /// IER.
  package struct InterruptEnable: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let receivedData = InterruptEnable(rawValue: 1 << 0)
    package static let transmitterEmpty = InterruptEnable(rawValue: 1 << 1)
    package static let lineStatus = InterruptEnable(rawValue: 1 << 2)
    package static let modemStatus = InterruptEnable(rawValue: 1 << 3)
    static let all = InterruptEnable(rawValue: 0x0F)
  }

  /// IIR, without the bits that say that FIFOs are on. Highest priority first.
  enum InterruptIdentification: UInt8 {
    case lineStatus = 0x06
    case receivedData = 0x04
    case characterTimeout = 0x0C
    case transmitterEmpty = 0x02
    case modemStatus = 0x00
    case none = 0x01

    static let fifosEnabled: UInt8 = 0xC0
  }

  /// FCR. The two resets act at once and are not kept.
  package struct FIFOControl: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let enable = FIFOControl(rawValue: 1 << 0)
    package static let resetReceiver = FIFOControl(rawValue: 1 << 1)
    package static let resetTransmitter = FIFOControl(rawValue: 1 << 2)
    package static let dmaMode = FIFOControl(rawValue: 1 << 3)
    package static let trigger = FIFOControl(rawValue: 0xC0)
    static let kept: FIFOControl = [.enable, .dmaMode, .trigger]

    /// Characters in the receiver's FIFO that ask for an interrupt.
    var triggerLevel: Int {
      switch rawValue >> 6 {
      case 0: 1
      case 1: 4
      case 2: 8
      default: 14
      }
    }
  }

  /// LCR. Word length, stop bits and parity mean nothing here: bytes travel whole.
  package struct LineControl: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// DLAB: the first two registers are the divisor.
    package static let divisorLatchAccess = LineControl(rawValue: 1 << 7)
  }

  /// MCR.
  package struct ModemControl: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let dataTerminalReady = ModemControl(rawValue: 1 << 0)
    package static let requestToSend = ModemControl(rawValue: 1 << 1)
    package static let out1 = ModemControl(rawValue: 1 << 2)
    package static let out2 = ModemControl(rawValue: 1 << 3)
    package static let loopback = ModemControl(rawValue: 1 << 4)
    static let all = ModemControl(rawValue: 0x1F)
  }

  /// LSR.
  package struct LineStatus: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let dataReady = LineStatus(rawValue: 1 << 0)
    package static let overrun = LineStatus(rawValue: 1 << 1)
    package static let parityError = LineStatus(rawValue: 1 << 2)
    package static let framingError = LineStatus(rawValue: 1 << 3)
    package static let breakInterrupt = LineStatus(rawValue: 1 << 4)
    package static let transmitterHoldingEmpty = LineStatus(rawValue: 1 << 5)
    package static let transmitterEmpty = LineStatus(rawValue: 1 << 6)
    package static let errorInFIFO = LineStatus(rawValue: 1 << 7)
    /// What goes with a received character.
    static let characterErrors: LineStatus = [.parityError, .framingError, .breakInterrupt]
    static let errors: LineStatus = characterErrors.union(.overrun)
  }

  /// MSR: four inputs, and below them what changed since the last read.
  package struct ModemStatus: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let clearToSendChanged = ModemStatus(rawValue: 1 << 0)
    package static let dataSetReadyChanged = ModemStatus(rawValue: 1 << 1)
    /// The ring indicator went away (TERI).
    package static let ringEnded = ModemStatus(rawValue: 1 << 2)
    package static let carrierDetectChanged = ModemStatus(rawValue: 1 << 3)
    package static let clearToSend = ModemStatus(rawValue: 1 << 4)
    package static let dataSetReady = ModemStatus(rawValue: 1 << 5)
    package static let ringIndicator = ModemStatus(rawValue: 1 << 6)
    package static let carrierDetect = ModemStatus(rawValue: 1 << 7)
    static let changes = ModemStatus(rawValue: 0x0F)
    static let inputs = ModemStatus(rawValue: 0xF0)
  }
}
