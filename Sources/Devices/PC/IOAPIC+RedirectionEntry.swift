internal import GuestMemory

extension IOAPIC {
  /// What an input's interrupt becomes: one of the redirection table's registers of 64 bits (82093AA data
  /// sheet, section 3.2.4).
  struct RedirectionEntry: Equatable {
    /// How local APICs take the message.
    enum DeliveryMode: UInt64 {
      case fixed = 0
      case lowestPriority = 1
      case systemManagement = 2
      case nonMaskable = 4
      case initialize = 5
      /// For an 8259 behind the input, which alone knows the vector.
      case external = 7
    }

    private(set) var rawValue: UInt64

    private static let logicalDestination: UInt64 = 1 << 11
    private static let remoteRequest: UInt64 = 1 << 14
    private static let levelTriggered: UInt64 = 1 << 15
    private static let mask: UInt64 = 1 << 16
    /// Vector, delivery mode, destination mode, polarity, trigger mode, mask, destination. The delivery
    /// status stays clear, since a message is delivered as soon as it is sent.
    private static let writable: UInt64 = 0xFF00_0000_0001_AFFF

    /// After a reset: masked.
    static let initial = RedirectionEntry(rawValue: mask)

    /// An entry from a snapshot; bits that do not exist are taken away.
    init(rawValue: UInt64) {
      self.rawValue = rawValue & (Self.writable | Self.remoteRequest)
      if !isLevelTriggered { hasRemoteRequest = false }
    }

    /// Writes the bits of `mask`. Turning an entry to edges ends what was in service, on which drivers rely
    /// that know no end-of-interrupt register.
    mutating func write(_ value: UInt64, mask: UInt64) {
      let mask = mask & Self.writable
      rawValue = rawValue & ~mask | value & mask
      if !isLevelTriggered { hasRemoteRequest = false }
    }

    var vector: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
    var isMasked: Bool { rawValue & Self.mask != 0 }
    var isLevelTriggered: Bool { rawValue & Self.levelTriggered != 0 }
    private var deliveryMode: DeliveryMode? { DeliveryMode(rawValue: rawValue >> 8 & 7) }

    /// Remote IRR: the input's level was sent, and its end has not come back.
    var hasRemoteRequest: Bool {
      get { rawValue & Self.remoteRequest != 0 }
      set { rawValue = newValue ? rawValue | Self.remoteRequest : rawValue & ~Self.remoteRequest }
    }

    /// Whether interrupts have an end, until which the input's level does not count. Only those with a vector
    /// do; the others are taken as edges whatever the entry says (table of delivery modes).
    var waitsForEnd: Bool {
      isLevelTriggered && (deliveryMode == .fixed || deliveryMode == .lowestPriority)
    }

    /// The message that an interrupt is (Intel SDM volume 3A, 11.11); nil where none is: there is no 8259 and
    /// no system management mode, and local APICs take no vector below 16.
    var message: MSIMessage? {
      let mode = deliveryMode
      switch mode {
      case .fixed, .lowestPriority: guard vector >= 16 else { return nil }
      case .nonMaskable, .initialize: break
      case .systemManagement, .external, nil: return nil
      }
      let isLogical = rawValue & Self.logicalDestination != 0
      return MSIMessage(
        address: 0xFEE0_0000 | (rawValue >> 56) << 12 | (isLogical ? 1 << 2 : 0),
        data: UInt32(truncatingIfNeeded: rawValue & 0x7FF) | (waitsForEnd ? 1 << 15 | 1 << 14 : 0))
    }

    /// The message whose end has to be told to the I/O APIC; nil if it need not hear of any.
    var route: MSIMessage? { waitsForEnd ? message : nil }
  }
}
