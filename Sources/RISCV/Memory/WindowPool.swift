internal import Translator

/// A hart's windows: which of its views of user memory have one, and whether it pays there.
struct WindowPool {
  /// Windows that a hart has at most; each takes 256 GiB of the process's addresses.
  static let most = 4
  /// Accesses that a window may fail to know: at first, and for each timer interrupt.
  private static let faultsAllowed = (first: 6000, perTick: 150)

  /// What is known of the programs that a view is for.
  private struct Place {
    /// The window that generated code reaches memory through, and its base; 0 without one.
    var window: AddressWindow?
    var base: UInt = 0
    /// Timer interrupts that found the program running, since it began or its memory was changed as a whole.
    var ticks = 0
    /// Accesses that the window did not know.
    var faults = 0
    /// Whether a window does not pay here.
    var isWindowless = false
    var lastUse: UInt64 = 0
  }

  /// Timer interrupts after which a program is given a window: some 8 ms of a program's time at a kernel's
  /// usual 250 Hz. 0: every program has one.
  var patience = 2

  private var places: [Place]
  private var current = 0
  private var clock: UInt64 = 0
  private var spare: [AddressWindow] = []
  private var made = 0

  init(views: Int) { places = Array(repeating: Place(), count: views) }

  /// The current view's window.
  var window: AddressWindow? { places[current].window }
  /// Where the current view's window is in the host's addresses; 0 without one.
  private(set) var base: UInt = 0

  /// A view is the current one of user memory.
  mutating func select(_ view: Int) {
    clock += 1
    places[view].lastUse = clock
    current = view
    base = places[view].base
  }

  /// A view is for other programs, or their memory has changed as a whole. True if code is to be forgotten that
  /// relied on a window.
  mutating func forget(_ view: Int) -> Bool {
    let hadWindow = close(view)
    places[view].ticks = 0
    places[view].isWindowless = false
    return hadWindow
  }

  func drop(_ address: UInt64, in view: Int) { places[view].window?.drop(address) }

  func dropWrites(toPage number: Int) {
    for place in places { place.window?.dropWrites(toPage: number) }
  }

  /// Takes all pages out of all windows, since most may be written; that they fault again is not theirs to answer for.
  mutating func dropAllWrites() {
    for index in places.indices {
      places[index].window?.clear()
      places[index].faults = 0
    }
  }

  /// Notes that a timer interrupt found a program running in the current view; `make` makes a window. The result
  /// is the views that have got or lost one, so that code is to be forgotten.
  mutating func noteTick(make: () -> AddressWindow?) -> [Int] {
    places[current].ticks += 1
    if places[current].window != nil {
      let allowed = Self.faultsAllowed.first + places[current].ticks * Self.faultsAllowed.perTick
      guard places[current].faults > allowed else { return [] }
      giveUp()
      return [current]
    }
    guard places[current].ticks >= patience, !places[current].isWindowless else { return [] }
    var loser: Int?
    guard let window = take(from: &loser, make: make) else {
      places[current].isWindowless = true
      return []
    }
    places[current].window = window
    places[current].base = UInt(bitPattern: window.base)
    places[current].faults = 0
    base = places[current].base
    return [current] + (loser.map { [$0] } ?? [])
  }

  /// A window that is free, a new one, or that of the view that was used least recently: the loser.
  private mutating func take(from loser: inout Int?, make: () -> AddressWindow?) -> AddressWindow? {
    if let window = spare.popLast() { return window }
    if made < Self.most {
      guard let window = make() else { return nil }
      made += 1
      return window
    }
    let holders = places.indices.filter { places[$0].window != nil && $0 != current }
    guard let oldest = holders.min(by: { places[$0].lastUse < places[$1].lastUse }) else { return nil }
    _ = close(oldest)
    loser = oldest
    return spare.popLast()
  }

  /// Takes a view's window away; false if it had none.
  private mutating func close(_ view: Int) -> Bool {
    guard let window = places[view].window else { return false }
    places[view].window = nil
    places[view].base = 0
    if view == current { base = 0 }
    window.clear()
    spare.append(window)
    return true
  }

  /// Notes an access that the current view's window did not know, or what costs as much as `count` of them.
  mutating func noteFault(_ count: Int = 1) { places[current].faults += count }

  /// The current view has no window from now on.
  mutating func giveUp() {
    places[current].isWindowless = true
    _ = close(current)
  }
}
