internal import GuestMemory

extension IOAPIC {
  /// The controller's registers and wires.
  package struct State: Codable, Equatable, Sendable {
    /// The register that the window shows.
    package var index: UInt8
    /// The controller's own APIC ID, which nothing but its drivers looks at.
    package var identifier: UInt8
    /// The redirection table, an entry for each input.
    package var entries: [UInt64]
    /// The wires' levels, a bit for each input.
    package var inputs: UInt32

    /// Numbers of the registers behind the window (82093AA data sheet, section 3.2).
    private enum Register {
      static let identifier: UInt8 = 0x00
      static let version: UInt8 = 0x01
      static let arbitration: UInt8 = 0x02
      /// Two for each entry, the low half first.
      static let table: UInt8 = 0x10
    }

    /// The first version with an end-of-interrupt register.
    private static let version: UInt32 = 0x20
    private static let inputMask: UInt32 = (1 << UInt32(IOAPIC.inputCount)) - 1

    /// After power-on, all wires low.
    init() {
      index = 0
      identifier = 0
      entries = [UInt64](repeating: RedirectionEntry.initial.rawValue, count: IOAPIC.inputCount)
      inputs = 0
    }

    /// A state from a snapshot, with what no register can hold taken away.
    init(_ other: State) {
      self.init()
      index = other.index
      identifier = other.identifier & 0x0F
      for (input, entry) in other.entries.prefix(entries.count).enumerated() {
        entries[input] = RedirectionEntry(rawValue: entry).rawValue
      }
      inputs = other.inputs & Self.inputMask
    }

    mutating func reset() {
      let inputs = self.inputs
      self = State()
      self.inputs = inputs
    }

    func entry(of input: Int) -> RedirectionEntry { RedirectionEntry(rawValue: entries[input]) }

    // MARK: - Inputs

    /// Takes a wire's level. Returns the message to send, if that is an interrupt.
    mutating func setInput(_ input: Int, level: Bool) -> MSIMessage? {
      let bit = 1 << UInt32(input) as UInt32
      guard (inputs & bit != 0) != level else { return nil }
      inputs ^= bit
      guard level else { return nil }
      let entry = entry(of: input)
      if entry.waitsForEnd { return takeLevel(of: input) }
      // Edges on a masked input are ignored, not held (the description of the mask bit).
      return entry.isMasked ? nil : entry.message
    }

    /// Sends the level of an input that is high and neither masked nor sent before.
    mutating func takeLevel(of input: Int) -> MSIMessage? {
      var entry = entry(of: input)
      guard entry.waitsForEnd, !entry.isMasked, !entry.hasRemoteRequest,
        inputs & 1 << UInt32(input) != 0, let message = entry.message
      else { return nil }
      entry.hasRemoteRequest = true
      entries[input] = entry.rawValue
      return message
    }

    /// Ends the interrupts of a vector. Inputs that are still high are to be looked at again.
    mutating func end(vector: UInt8) {
      for input in entries.indices {
        var entry = entry(of: input)
        guard entry.hasRemoteRequest, entry.vector == vector else { continue }
        entry.hasRemoteRequest = false
        entries[input] = entry.rawValue
      }
    }

    // MARK: - Registers

    /// What the window shows. Registers that do not exist read as all ones.
    var window: UInt32 {
      get {
        switch index {
        case Register.identifier, Register.arbitration: return UInt32(identifier) << 24
        case Register.version: return Self.version | UInt32(entries.count - 1) << 16
        default:
          guard let (input, shift) = place else { return .max }
          return UInt32(truncatingIfNeeded: entries[input] >> shift)
        }
      }
      set {
        if index == Register.identifier { identifier = UInt8(truncatingIfNeeded: newValue >> 24) & 0x0F }
        guard let (input, shift) = place else { return }
        var entry = entry(of: input)
        entry.write(UInt64(newValue) << shift, mask: 0xFFFF_FFFF << shift)
        entries[input] = entry.rawValue
      }
    }

    /// The entry and the half of it that the window shows.
    private var place: (input: Int, shift: UInt64)? {
      guard index >= Register.table else { return nil }
      let input = Int(index - Register.table) / 2
      return input < entries.count ? (input, index % 2 == 0 ? 0 : 32) : nil
    }
  }
}
