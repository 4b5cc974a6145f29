internal import CHost
internal import GuestMemory
internal import HostSystem

/// Which message each global system interrupt (GSI) sends. The first GSIs are the inputs of the board's I/O
/// APIC, the others are handed out to whoever has interrupts of its own.
struct RoutingTable {
  let inputs: Int
  /// By GSI; nil sends nothing.
  private(set) var messages: [Int: MSIMessage] = [:]
  private var taken: Set<Int> = []

  /// KVM has room for no more (KVM_MAX_IRQ_ROUTES).
  static let most = 4096

  init(inputs: Int) { self.inputs = inputs }

  /// The lowest GSI that nobody has.
  mutating func allocate() -> Int? {
    guard let free = (inputs..<Self.most).first(where: { !taken.contains($0) }) else { return nil }
    taken.insert(free)
    return free
  }

  mutating func release(_ gsi: Int) {
    taken.remove(gsi)
    messages[gsi] = nil
  }

  /// Changes some routes; false when that leaves all as they were.
  mutating func set(_ changes: [Int: MSIMessage?]) -> Bool {
    let before = messages
    for (gsi, message) in changes where gsi >= 0 && gsi < Self.most {
      // Guests choose messages. What is no interrupt is sent nowhere.
      messages[gsi] = message.flatMap { $0.isInterrupt ? $0 : nil }
    }
    return messages != before
  }

  /// Has the kernel use the table.
  func install(_ machine: Descriptor) throws(KVMError) {
    let entryWords = MemoryLayout<kvm_irq_routing_entry>.size / 8
    var words = [UInt64](repeating: 0, count: 1 + messages.count * entryWords)
    words[0] = UInt64(messages.count)
    words.withUnsafeMutableBytes { bytes in
      for (number, (gsi, message)) in messages.enumerated() {
        var entry = kvm_irq_routing_entry()
        entry.gsi = UInt32(gsi)
        entry.type = UInt32(KVM_IRQ_ROUTING_MSI)
        entry.u.msi.address_lo = UInt32(truncatingIfNeeded: message.address)
        entry.u.msi.address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
        entry.u.msi.data = message.data
        bytes.storeBytes(
          of: entry, toByteOffset: 8 * (1 + number * entryWords), as: kvm_irq_routing_entry.self)
      }
    }
    try machine.request(.setRouting, words: &words)
  }
}
