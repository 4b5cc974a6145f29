internal import Glibc
internal import HostSystem
internal import Translator

/// A hart's views of memory.
///
/// Supervisor mode without access to user memory has one view for all address spaces: what it sees is the same in all
/// of them, but for pages that are not marked global, which it forgets when the space changes. A fixed number of
/// others is given to pairs of address space and mode as they come, the least recently used first: some to user mode,
/// and some to supervisor mode with access to user memory. The latter fetch as supervisor mode does, and know code
/// together with its view.
package struct ViewPool {
  /// How a hart accesses memory.
  enum Mode {
    static let user: UInt64 = 0
    static let supervisor: UInt64 = 1
    /// Supervisor mode with sstatus.SUM.
    static let permitsUser: UInt64 = 2
    /// sstatus.MXR.
    static let readsExecutable: UInt64 = 4
  }

  /// Where the context holds the view for a mode.
  static func place(ofMode mode: UInt64) -> Int32 {
    ContextLayout.modeViews + Int32(truncatingIfNeeded: mode) * 8
  }

  private struct Slot: BitwiseCopyable {
    var translation: UInt64 = 0
    /// All ones while unused.
    var mode: UInt64 = .max
    var lastUse: UInt64 = 0
  }

  /// Views for pairs with user mode, and as many for pairs with supervisor mode.
  private static let pairs = 10

  private let mapping: Mapping
  /// Behind the views.
  private let slots: UnsafeMutablePointer<Slot>
  private var clock: UInt64 = 0
  let missTarget: UnsafeRawPointer
  /// Those of the views for user mode.
  var windows = WindowPool(views: pairs)

  init(missTarget: UnsafeRawPointer) throws(Errno) {
    self.missTarget = missTarget
    let views = Self.pairs * 2 + 1
    let file = try Descriptor.memory(name: "address-views")
    let size = views * AddressView.size + 4096
    try file.truncate(to: Int64(size))
    mapping = try Mapping.map(size: size, descriptor: file)
    for index in Self.pairs..<Self.pairs * 2 {
      let start = index * AddressView.size + AddressView.dataSize
      try mapping.show(
        file, from: Self.pairs * 2 * AddressView.size + AddressView.dataSize,
        in: start..<start + AddressView.codeSize)
    }
    slots = (mapping.base + views * AddressView.size).bindMemory(to: Slot.self, capacity: Self.pairs * 2)
    slots.initialize(repeating: Slot(), count: Self.pairs * 2)
    for index in 0..<views { view(index).clear() }
  }

  private func view(_ index: Int) -> AddressView {
    AddressView(base: mapping.base + index * AddressView.size, missTarget: missTarget)
  }

  /// Supervisor mode's.
  private var shared: AddressView { view(Self.pairs * 2) }

  /// The view for an address space (satp's value) and mode; if it has forgotten what it knew of another space, it is
  /// new.
  mutating func select(translation: UInt64, mode: UInt64) -> (view: AddressView, isNew: Bool) {
    if mode == Mode.supervisor { return (shared, false) }
    clock += 1
    let first = mode & Mode.supervisor == 0 ? 0 : Self.pairs
    var oldest = first
    for index in first..<first + Self.pairs {
      if slots[index].mode == mode, slots[index].translation == translation {
        slots[index].lastUse = clock
        if first == 0 { windows.select(index) }
        return (view(index), false)
      }
      if slots[index].lastUse < slots[oldest].lastUse { oldest = index }
    }
    let view = view(oldest)
    if slots[oldest].mode == mode {
      view.clearLocalData()
    } else {
      view.clearData()
    }
    if first == 0 {
      view.clearCode()
      _ = windows.forget(oldest)
      windows.select(oldest)
    }
    slots[oldest] = Slot(translation: translation, mode: mode, lastUse: clock)
    return (view, true)
  }

  /// The address space is another now: what is left of the last in views that all share is forgotten. True if there
  /// was something.
  mutating func changeSpace() -> Bool {
    guard shared.hasLocals else { return false }
    shared.clearLocal()
    return true
  }

  /// The address space identifier in satp's value.
  static func space(of translation: UInt64) -> UInt64 { (translation >> 44) & 0xFFFF }

  /// Calls `body` with every view in use, or with those that may know pages of one address space alone.
  func forEach(space: UInt64? = nil, _ body: (AddressView) -> Void) {
    body(shared)
    forEachIndex(space: space) { body(view($0)) }
  }

  private func forEachIndex(space: UInt64?, _ body: (Int) -> Void) {
    for index in 0..<Self.pairs * 2 where slots[index].mode != .max {
      if let space, Self.space(of: slots[index].translation) != space { continue }
      body(index)
    }
  }

  /// Calls `body` with one view of all that share what they know of code.
  func forEachCode(_ body: (AddressView) -> Void) {
    body(shared)
    for index in 0..<Self.pairs where slots[index].mode != .max { body(view(index)) }
  }

  /// Forgets all translations of one address space, but for pages that are in all of them; or all of all.
  mutating func clear(space: UInt64?) {
    if let space { forEach(space: space) { $0.clearLocal() } } else { forEach { $0.clear() } }
    var losers: [Int] = []
    forEachIndex(space: space) { if $0 < Self.pairs { losers.append($0) } }
    for index in losers where windows.forget(index) { view(index).clearCode() }
  }

  /// Forgets one page's translations in an address space, or in all.
  mutating func drop(_ address: UInt64, space: UInt64?) {
    var larges: [Int] = []
    forEachIndex(space: space) { index in
      guard index < Self.pairs else { return }
      if view(index).mayBeLarge(address) { larges.append(index) } else { windows.drop(address, in: index) }
    }
    // A window does not know which of its pages are parts of a larger one.
    for index in larges where windows.forget(index) { view(index).clearCode() }
    forEach(space: space) { $0.drop(address, keepsGlobal: space != nil) }
  }

  /// Forgets that a page of the memory file, at host address `host`, may be written. `place`: where it is in the
  /// views' write tables.
  func dropWrites(toPage number: Int, host: UnsafeMutableRawPointer, at place: PageWriters.Place) {
    switch place {
    case .none: break
    case .offset(let offset): forEach { $0.dropWrite(at: offset, toHostPage: host) }
    case .several: forEach { $0.dropWrites(toHostPage: host) }
    }
    windows.dropWrites(toPage: number)
  }

  /// Forgets that any page may be written.
  mutating func dropAllWrites() {
    forEach { $0.clearWrites() }
    windows.dropAllWrites()
  }

  /// Notes that a timer interrupt found a program running; `make` makes a window for it.
  mutating func noteTick(make: () -> AddressWindow?) {
    for index in windows.noteTick(make: make) { view(index).clearCode() }
  }

  /// The window of the current view for user mode does not work out: it has none from now on.
  mutating func giveUpWindow(_ current: AddressView) {
    windows.giveUp()
    current.clearCode()
  }
}
