internal import HostSystem
internal import Translator

/// A hart's views of memory: a fixed number, given to (address space, privilege) pairs as they come,
/// the least recently used first; and the windows of those address spaces whose programs run for long.
package struct ViewPool {
  static let count = 16
  /// Windows that a hart has at most; each takes 256 GiB of the process's addresses.
  static let windowCount = 4

  struct Slot {
    var translation: UInt64 = 0
    /// Privilege and the status bits that change what is permitted; all ones while unused.
    var mode: UInt64 = .max
    var lastUse: UInt64 = 0
    /// The window that generated code reaches memory through in this view, and its base; 0 without one.
    var window: AddressWindow?
    var windowBase: UInt = 0
    /// Timer interrupts that found the program running, since the view was empty.
    var ticks = 0
    /// Accesses that the window did not know.
    var faults = 0
    /// Whether a window does not pay here.
    var isWindowless = false
  }

  private let mapping: Mapping
  private var slots = [Slot](repeating: Slot(), count: count)
  private var clock: UInt64 = 0
  private var current = 0
  private var spareWindows: [AddressWindow] = []
  private var windowsMade = 0
  let missTarget: UnsafeRawPointer
  /// Timer interrupts after which a program is given a window: some 8 ms of a program's time at a kernel's
  /// usual 250 Hz. 0: every program has one.
  var windowPatience = 2

  init(missTarget: UnsafeRawPointer) throws(Errno) {
    self.missTarget = missTarget
    mapping = try Mapping.map(size: Self.count * AddressView.size)
  }

  private func view(_ index: Int) -> AddressView {
    AddressView(base: mapping.base + index * AddressView.size, missTarget: missTarget)
  }

  /// The view for an address space (satp's value) and mode; if it is new it is empty, and was perhaps
  /// another space's.
  mutating func select(translation: UInt64, mode: UInt64) -> (view: AddressView, isNew: Bool) {
    clock += 1
    var oldest = 0
    for index in 0..<Self.count {
      if slots[index].mode == mode, slots[index].translation == translation {
        slots[index].lastUse = clock
        current = index
        return (view(index), false)
      }
      if slots[index].lastUse < slots[oldest].lastUse { oldest = index }
    }
    closeWindow(oldest)
    slots[oldest] = Slot(translation: translation, mode: mode, lastUse: clock)
    view(oldest).clear()
    current = oldest
    return (view(oldest), true)
  }

  /// The address space identifier in satp's value.
  static func space(of translation: UInt64) -> UInt64 { (translation >> 44) & 0xFFFF }

  private func indices(space: UInt64?) -> some Sequence<Int> {
    (0..<Self.count).lazy.filter { index in
      slots[index].mode != .max && (space == nil || Self.space(of: slots[index].translation) == space)
    }
  }

  func forEach(space: UInt64? = nil, _ body: (AddressView) -> Void) {
    for index in indices(space: space) { body(view(index)) }
  }

  /// Forgets one page's translations in an address space, or in all.
  func drop(_ address: UInt64, space: UInt64?) {
    for index in indices(space: space) {
      view(index).drop(address)
      slots[index].window?.drop(address)
    }
  }

  /// Forgets that a page of the memory file, at host address `host`, may be written. `place`: where it is in the
  /// views' write tables.
  func dropWrites(toPage number: Int, host: UnsafeMutableRawPointer, at place: PageWriters.Place) {
    for index in indices(space: nil) {
      switch place {
      case .none: break
      case .offset(let offset): view(index).dropWrite(at: offset, toHostPage: host)
      case .several: view(index).dropWrites(toHostPage: host)
      }
      slots[index].window?.dropWrites(toPage: number)
    }
  }

  /// Forgets all translations of one address space, or of all.
  mutating func clear(space: UInt64?) {
    for index in indices(space: space) {
      view(index).clear()
      closeWindow(index)
      slots[index].ticks = 0
      slots[index].isWindowless = false
    }
  }
}

// MARK: - Windows

extension ViewPool {
  /// Accesses that a window may fail to know: at first, and for each timer interrupt.
  private static let faultsAllowed = (first: 6000, perTick: 150)

  /// The current view's window.
  var window: AddressWindow? { slots[current].window }
  /// Where the current view's window is in the host's addresses; 0 without one.
  var windowBase: UInt { slots[current].windowBase }

  /// Notes that a timer interrupt found a program running in the current view. True if the view has got or lost
  /// its window.
  mutating func noteTick(make: () -> AddressWindow?) -> Bool {
    slots[current].ticks += 1
    guard slots[current].window == nil else {
      let allowed = Self.faultsAllowed.first + slots[current].ticks * Self.faultsAllowed.perTick
      guard slots[current].faults > allowed else { return false }
      slots[current].isWindowless = true
      closeWindow(current)
      return true
    }
    guard slots[current].ticks >= windowPatience, !slots[current].isWindowless else { return false }
    guard let window = takeWindow(make: make) else {
      slots[current].isWindowless = true
      return false
    }
    slots[current].window = window
    slots[current].windowBase = UInt(bitPattern: window.base)
    slots[current].faults = 0
    view(current).clearCode()
    return true
  }

  private mutating func takeWindow(make: () -> AddressWindow?) -> AddressWindow? {
    if let window = spareWindows.popLast() { return window }
    if windowsMade < Self.windowCount {
      guard let window = make() else { return nil }
      windowsMade += 1
      return window
    }
    // That of the view that was used least recently.
    let holders = slots.indices.filter { slots[$0].window != nil && $0 != current }
    guard let oldest = holders.min(by: { slots[$0].lastUse < slots[$1].lastUse }) else { return nil }
    closeWindow(oldest)
    return spareWindows.popLast()
  }

  /// Takes a view's window away.
  private mutating func closeWindow(_ index: Int) {
    guard let window = slots[index].window else { return }
    slots[index].window = nil
    slots[index].windowBase = 0
    window.clear()
    spareWindows.append(window)
    // What is left is code that is not for views without a window, or the reverse.
    view(index).clearCode()
  }

  /// Notes an access that the current view's window did not know, or what costs as much as `count` of them.
  mutating func noteFault(_ count: Int = 1) { slots[current].faults += count }

  /// Gives up the current view's window, which the host has no room for.
  mutating func giveUpWindow() {
    slots[current].isWindowless = true
    closeWindow(current)
  }
}
