package import GuestMemory

/// The table and the pending bits of MSI-X (PCI 3.0 §6.8.2).
package struct MSIXTable: Codable, Equatable, Sendable {
  /// A vector: the message, and whether it is held back.
  package struct Entry: Codable, Equatable, Sendable {
    package var message = MSIMessage(address: 0, data: 0)
    package var isMasked = true
  }

  /// Where software finds the table and the bits: a base address register and two offsets into its range.
  package struct Placement: Equatable, Sendable {
    package let range: Int
    package let table: UInt32
    package let pending: UInt32

    package init(range: Int, table: UInt32, pending: UInt32) {
      precondition(table % 8 == 0 && pending % 8 == 0, "the low bits name the register")
      self.range = range
      self.table = table
      self.pending = pending
    }
  }

  static let entrySize = 16
  /// The most vectors (§6.8.2.3).
  static let countLimit = 2048

  package private(set) var entries: [Entry]
  /// A bit for each vector whose message is held back.
  package private(set) var pending: [UInt64]

  init(count: Int) {
    precondition((1...Self.countLimit).contains(count), "a function has 1 to 2048 vectors")
    entries = Array(repeating: Entry(), count: count)
    pending = Array(repeating: 0, count: (count + 63) / 64)
  }

  /// A table from a snapshot, fitted to this many vectors.
  init(_ other: MSIXTable, count: Int) {
    self.init(count: count)
    for (index, entry) in other.entries.prefix(count).enumerated() {
      entries[index] = entry
      entries[index].message.address &= ~3
      let (word, bit) = Self.place(of: index)
      if word < other.pending.count { pending[word] |= other.pending[word] & bit }
    }
  }

  private static func place(of vector: Int) -> (word: Int, bit: UInt64) {
    (vector / 64, 1 << UInt64(vector % 64))
  }

  // MARK: - Messages

  /// The message to send for a vector now; nil if it is kept for later, or there is no such vector.
  mutating func raise(_ vector: Int, isHeld: Bool) -> MSIMessage? {
    guard entries.indices.contains(vector) else { return nil }
    guard !isHeld, !entries[vector].isMasked else {
      let (word, bit) = Self.place(of: vector)
      pending[word] |= bit
      return nil
    }
    return entries[vector].message
  }

  /// The messages that were kept and may be sent now.
  mutating func takeReleased() -> [MSIMessage] {
    var messages: [MSIMessage] = []
    for word in pending.indices where pending[word] != 0 {
      var bits = pending[word]
      while bits != 0 {
        let vector = 64 * word + bits.trailingZeroBitCount
        bits &= bits - 1
        guard !entries[vector].isMasked else { continue }
        pending[word] &= ~Self.place(of: vector).bit
        messages.append(entries[vector].message)
      }
    }
    return messages
  }

  // MARK: - Registers

  /// Reads from the table: aligned words of 4 or 8 bytes.
  func read(at offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    let offset = try Self.check(offset, width, size: Self.entrySize * entries.count)
    let low = UInt64(word(at: offset))
    return width == 4 ? low : low | UInt64(word(at: offset + 4)) << 32
  }

  mutating func write(at offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    let offset = try Self.check(offset, width, size: Self.entrySize * entries.count)
    setWord(at: offset, UInt32(truncatingIfNeeded: value))
    if width == 8 { setWord(at: offset + 4, UInt32(truncatingIfNeeded: value >> 32)) }
  }

  /// Reads from the pending bits.
  func readPending(at offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    let offset = try Self.check(offset, width, size: 8 * pending.count)
    let word = pending[offset / 8]
    return width == 8 ? word : word >> UInt64(8 * (offset % 8)) & 0xFFFF_FFFF
  }

  private static func check(_ offset: UInt64, _ width: Int, size: Int) throws(BusFault) -> Int {
    guard offset < UInt64(size) else { throw .noRegister }
    guard width == 4 || width == 8, offset % UInt64(width) == 0 else { throw .badWidth }
    return Int(offset)
  }

  private func word(at offset: Int) -> UInt32 {
    let entry = entries[offset / Self.entrySize]
    return switch offset % Self.entrySize {
    case 0: UInt32(truncatingIfNeeded: entry.message.address)
    case 4: UInt32(truncatingIfNeeded: entry.message.address >> 32)
    case 8: entry.message.data
    default: entry.isMasked ? 1 : 0
    }
  }

  private mutating func setWord(at offset: Int, _ value: UInt32) {
    let index = offset / Self.entrySize
    switch offset % Self.entrySize {
    case 0: entries[index].message.address.setLow(value & ~3)
    case 4: entries[index].message.address.setHigh(value)
    case 8: entries[index].message.data = value
    default: entries[index].isMasked = value & 1 != 0
    }
  }
}
