package import GuestMemory
internal import Synchronization

/// The PCI side of a function: its configuration space, and what follows from that: the ranges it
/// decodes, its INTx pin, its MSI-X messages.
package final class PCIInterface: Sendable {
  /// How a function is built.
  package struct Description: Sendable {
    package var identity: PCIIdentity
    package var ranges: [PCIBaseAddress] = []
    /// The wire of INTA; nil for a function that has no interrupt.
    package var interrupt: InterruptLine?
    /// How many messages it has, and where software finds their table; nil without MSI-X.
    package var messages: (count: Int, placement: MSIXTable.Placement, sink: any MSISink)?
    /// Whether it has the capabilities of every PCI Express function.
    package var isExpress = false
    /// Called, from any thread and without a lock, after a range has moved, come or gone.
    package var rangesChanged: @Sendable () -> Void = {}
    /// Called likewise after ``PCIInterface/message(ofVector:)`` may have changed, before the write that did it ends.
    package var messagesChanged: @Sendable () -> Void = {}

    package init(_ identity: PCIIdentity) { self.identity = identity }
  }

  /// What a write to the configuration space asks of the function beyond these registers.
  package struct Effects: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// Back to the state after power-on (PCI Express §6.6.2).
    package static let functionReset = Effects(rawValue: 1)
    /// The function must leave memory alone from now on.
    package static let busMasterCleared = Effects(rawValue: 2)
  }

  /// Where the registers are that matter here.
  private struct Places {
    var msix: Int?
    var express: Int?
    var powerManagement: Int?
  }

  private struct Guarded {
    var space: PCIConfigurationSpace
    var table: MSIXTable?
    /// The function has a cause for an interrupt.
    var isPending = false
  }

  /// A range and where it is decoded now, for look-ups, which take no lock.
  private final class DecodedRange: Sendable {
    /// No multiple of any range's size.
    static let nowhere = UInt64.max
    let range: PCIBaseAddress
    let address = Atomic(nowhere)

    init(_ range: PCIBaseAddress) { self.range = range }
  }

  package let ranges: [PCIBaseAddress]
  private let decoded: [DecodedRange]
  private let places: Places
  private let interrupt: InterruptLine?
  private let placement: MSIXTable.Placement?
  private let sink: (any MSISink)?
  private let rangesChanged: @Sendable () -> Void
  private let messagesChanged: @Sendable () -> Void
  private let guarded: Mutex<Guarded>

  /// `addCapabilities` adds what only this function has.
  package init(
    _ description: Description, addCapabilities: (inout PCIConfigurationSpace) -> Void = { _ in }
  ) {
    var space = PCIConfigurationSpace(description.identity)
    var places = Places()
    for range in description.ranges { space.define(range) }
    if description.interrupt != nil { space.define(UInt8(1), at: PCIRegister.interruptPin) }
    if description.isExpress {
      places.powerManagement = space.addPowerManagement()
      places.express = space.addExpress()
    }
    if let messages = description.messages {
      places.msix = space.addMSIX(count: messages.count, at: messages.placement)
    }
    addCapabilities(&space)
    ranges = description.ranges
    decoded = description.ranges.map { DecodedRange($0) }
    self.places = places
    interrupt = description.interrupt
    placement = description.messages?.placement
    sink = description.messages?.sink
    rangesChanged = description.rangesChanged
    messagesChanged = description.messagesChanged
    guarded = Mutex(
      Guarded(space: space, table: description.messages.map { MSIXTable(count: $0.count) }))
  }

  /// Says that the device has functions beside this one, which is its first. Before the machine runs.
  func setMultifunction() {
    guarded.withLock { $0.space.define(UInt8(0x80), at: PCIRegister.headerType) }
  }

  package func reset() {
    change { guarded in
      guarded.space.reset()
      guarded.table = guarded.table.map { MSIXTable(count: $0.entries.count) }
    }
  }

  // MARK: - Configuration space

  package func read(offset: Int, width: Int) -> UInt32 {
    guarded.withLock { $0.space.load(at: offset, width: width) }
  }

  package func write(offset: Int, width: Int, value: UInt32) -> Effects {
    change { guarded in
      let wasMaster = guarded.space.command.contains(.busMaster)
      guarded.space.write(at: offset, width: width, value: value)
      var effects: Effects = []
      if wasMaster, !guarded.space.command.contains(.busMaster) { effects.insert(.busMasterCleared) }
      if let express = places.express, guarded.space.takeFunctionReset(express: express) {
        effects.insert(.functionReset)
      }
      return effects
    }
  }

  /// Sets a field from the function's side; it must be none that this class looks after.
  func store<T: FixedWidthInteger & Sendable>(_ value: T, at offset: Int) {
    guarded.withLock { $0.space.store(value, at: offset) }
  }

  /// Changes registers, then brings everything to them that follows from them.
  private func change<Result: Sendable>(_ body: (inout Guarded) -> Result) -> Result {
    let (result, hasMoved) = guarded.withLock { guarded in
      let result = body(&guarded)
      releaseMessages(&guarded)
      syncInterrupt(&guarded)
      return (result, syncRanges(guarded))
    }
    if hasMoved { rangesChanged() }
    messagesChanged()
    return result
  }

  /// Whether the function sleeps: then it answers in its configuration space alone and sends nothing
  /// (PCI Power Management 1.2 §5.4.1).
  private func sleeps(_ guarded: Guarded) -> Bool {
    guard let place = places.powerManagement else { return false }
    return guarded.space.load(UInt8.self, at: place + 4) & 3 != 0
  }

  // MARK: - Ranges

  /// True if any range is elsewhere now.
  private func syncRanges(_ guarded: Guarded) -> Bool {
    let isDecoding = guarded.space.command.contains(.memorySpace) && !sleeps(guarded)
    var hasMoved = false
    for decoded in decoded {
      let address = isDecoding ? guarded.space.address(of: decoded.range) : DecodedRange.nowhere
      let old = decoded.address.exchange(address, ordering: .acquiringAndReleasing)
      hasMoved = hasMoved || old != address
    }
    return hasMoved
  }

  /// The range that holds all of an access, and the offset into it; nil if the function does not answer.
  package func find(_ address: UInt64, width: Int) -> (range: Int, offset: UInt64)? {
    for decoded in decoded {
      let base = decoded.address.load(ordering: .acquiring)
      guard address >= base, base != DecodedRange.nowhere else { continue }
      let offset = address - base
      if offset < decoded.range.size, UInt64(width) <= decoded.range.size - offset {
        return (decoded.range.index, offset)
      }
    }
    return nil
  }

  /// Where the range of a base address register is decoded now; nil if it is not.
  package func address(ofRange index: Int) -> UInt64? {
    guard let decoded = decoded.first(where: { $0.range.index == index }) else { return nil }
    let address = decoded.address.load(ordering: .acquiring)
    return address == DecodedRange.nowhere ? nil : address
  }

  // MARK: - INTx

  /// Brings the pin and the status bit to the registers. Under the lock, so that levels stay in order.
  private func syncInterrupt(_ guarded: inout Guarded) {
    guard let interrupt else { return }
    let asks = guarded.isPending && !usesMessages(guarded)
    var status = PCIStatus(rawValue: guarded.space.load(at: PCIRegister.status))
    if status.contains(.interrupt) != asks {
      status.formSymmetricDifference(.interrupt)
      guarded.space.store(status.rawValue, at: PCIRegister.status)
    }
    interrupt.setLevel(asks && !guarded.space.command.contains(.interruptDisable))
  }

  // MARK: - MSI-X

  private func control(_ guarded: Guarded) -> UInt16 {
    places.msix.map { guarded.space.load(at: $0 + 2) } ?? 0
  }

  private func usesMessages(_ guarded: Guarded) -> Bool {
    control(guarded) & PCIConfigurationSpace.MSIXControl.enable != 0
  }

  /// Whether all messages are held back: by their function's mask, or because it must not write memory.
  private func holdsMessages(_ guarded: Guarded) -> Bool {
    control(guarded) & PCIConfigurationSpace.MSIXControl.functionMask != 0
      || !guarded.space.command.contains(.busMaster) || sleeps(guarded)
  }

  private func releaseMessages(_ guarded: inout Guarded) {
    guard usesMessages(guarded), !holdsMessages(guarded), let released = guarded.table?.takeReleased()
    else { return }
    for message in released { sink?.signal(message) }
  }

  /// How many messages the function has.
  package var messageCount: Int { guarded.withLock { $0.table?.entries.count ?? 0 } }

  /// What a vector stands for at this moment; nil while its message would be held back. For hosts that
  /// have the message sent without us.
  package func message(ofVector vector: Int) -> MSIMessage? {
    guarded.withLock { guarded in
      guard let table = guarded.table, table.entries.indices.contains(vector), usesMessages(guarded),
        !holdsMessages(guarded), !table.entries[vector].isMasked
      else { return nil }
      return table.entries[vector].message
    }
  }

  /// Reads from the table or from the pending bits, which follow it, at an offset into their range.
  package func readMessages(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    try guarded.withLock { guarded throws(BusFault) in
      guard let table = guarded.table, let placement, offset >= placement.table else { throw .noRegister }
      if offset >= placement.pending {
        return try table.readPending(at: offset - UInt64(placement.pending), width: width)
      }
      return try table.read(at: offset - UInt64(placement.table), width: width)
    }
  }

  /// Writes to the table; the pending bits cannot be written.
  package func writeMessages(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    defer { messagesChanged() }
    try guarded.withLock { guarded throws(BusFault) in
      guard let placement, guarded.table != nil, offset >= placement.table else { throw .noRegister }
      guard offset < placement.pending else { throw .forbidden }
      try guarded.table?.write(at: offset - UInt64(placement.table), width: width, value: value)
      releaseMessages(&guarded)
    }
  }

  // MARK: - State

  package struct State: Codable, Equatable, Sendable {
    /// The conventional part of the configuration space.
    package var configuration: [UInt8]
    package var messages: MSIXTable?
  }

  package var state: State {
    get { guarded.withLock { State(configuration: $0.space.bytes, messages: $0.table) } }
    set {
      change { guarded in
        guarded.space.restore(newValue.configuration)
        guard let count = guarded.table?.entries.count else { return }
        guarded.table = newValue.messages.map { MSIXTable($0, count: count) } ?? MSIXTable(count: count)
      }
    }
  }
}

/// INTx and MSI-X at the disposal of a virtio device.
extension PCIInterface: TransportInterrupts {
  package func setPending(_ isPending: Bool) {
    guarded.withLock { guarded in
      guard guarded.isPending != isPending else { return }
      guarded.isPending = isPending
      syncInterrupt(&guarded)
    }
  }

  package func send(vector: UInt16) {
    guarded.withLock { guarded in
      guard usesMessages(guarded) else { return }
      let isHeld = holdsMessages(guarded)
      if let message = guarded.table?.raise(Int(vector), isHeld: isHeld) { sink?.signal(message) }
    }
  }
}
