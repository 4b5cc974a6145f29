internal import GuestMemory
internal import Translator

/// The hart's side of the windows (``AddressWindow``): which programs get one, and what is mapped in it.
extension Hart {
  /// Pages that are looked at together when one of them is missing.
  private static let pagesAround = 16

  /// Timer interrupts that find a program running until it gets a window; 0: every program has one.
  package var windowPatience: Int {
    get { views.windows.patience }
    set { views.windows.patience = newValue }
  }

  /// Makes the current view's window that of the hart's thread.
  func activateWindow() {
    activeWindow = views.windows.base
    AddressWindow.activate(views.windows.window)
  }

  /// Notes that a timer interrupt found a program running: one that runs for long gets a window.
  func noteUserTick() {
    guard let code = cluster.code, code.canUseWindows, state.pointee.translation >> 60 == PageWalk.Mode.sv39
    else { return }
    let memory = memory
    views.noteTick {
      try? AddressWindow(file: memory.descriptor, pageCount: memory.size >> GuestMemory.pageShift)
    }
    useWindow()
  }

  /// Has generated code use the current view's window, if it has one.
  func selectWindow() {
    if views.windows.patience == 0, views.windows.base == 0 { noteUserTick() }
    useWindow()
  }

  private func useWindow() {
    if views.windows.base != 0, views.windows.base != activeWindow { activateWindow() }
  }

  /// Whether an access is of a kind that code for windows does not go on after, even if it succeeds: it takes
  /// the address for one in the window from then on.
  func isBeyondWindow(_ address: UInt64) -> Bool {
    address >= AddressWindow.size && state.pointee.privilege == 0 && views.windows.base != 0
  }

  /// Maps the page of an address that was just translated in the current view's window, if it is not yet, and
  /// those around it that the program has used.
  func fillWindow(_ address: UInt64, forWriting: Bool) {
    guard state.pointee.privilege == 0, address < AddressWindow.size, let window = views.windows.window else {
      return
    }
    let page = Int(address >> 12)
    views.windows.noteFault()
    windowFaults += 1
    guard !window.isMapped(page, forWriting: forWriting) else { return }
    let first = page & ~(Self.pagesAround - 1)
    // The run of pages, contiguous in the memory file and alike, that is to be mapped next.
    var run = (page: 0, number: 0, count: 0, isWritable: false)
    func map() -> Bool {
      guard run.count > 0 else { return true }
      return window.map(run.page, number: run.number, count: run.count, forWriting: run.isWritable)
    }
    PageWalk.withLeaves(of: address, state: state.pointee, memory: memory) { entry, level in
      for candidate in first..<first + Self.pagesAround {
        guard let leaf = usable(entry(candidate), page: candidate, level: level),
          candidate == page || !window.isMapped(candidate, forWriting: leaf.isWritable)
        else { continue }
        if run.count > 0, candidate == run.page + run.count, leaf.number == run.number + run.count,
          leaf.isWritable == run.isWritable
        {
          run.count += 1
          continue
        }
        guard map() else { return views.giveUpWindow(view) }
        run = (candidate, leaf.number, 1, leaf.isWritable)
      }
      if !map() { views.giveUpWindow(view) }
    }
  }

  /// The page of the memory file that a page table entry shows to programs, if they have used it; and whether
  /// they may write it without asking, which is noted then.
  private func usable(_ entry: UInt64, page: Int, level: Int) -> (number: Int, isWritable: Bool)? {
    typealias Entry = PageWalk.Entry
    let needed = Entry.valid | Entry.readable | Entry.user | Entry.accessed
    guard entry & needed == needed, entry & Entry.reserved == 0,
      let frame = PageWalk.frame(of: entry, address: UInt64(page) << 12, level: level),
      let number = memory.pageNumber(of: frame << 12)
    else { return nil }
    // The window maps the memory file.
    memory.own(page: number)
    guard entry & Entry.writable != 0, entry & Entry.dirty != 0,
      memory.flags(ofPage: number) & GuestMemory.PageFlag.code == 0
    else { return (number, false) }
    let noted = GuestMemory.PageFlag.writeCached | GuestMemory.PageFlag.dirty
    return (number, memory.setFlags(noted, ofPage: number) & GuestMemory.PageFlag.code == 0)
  }
}

extension PageWalk {
  /// Gives `body` a function from the number of a page near `address`, in the same table, to the entry that shows
  /// it, and the entries' level. Nothing happens where there is no such entry. Sv39.
  static func withLeaves(
    of address: UInt64, state: HartState, memory: GuestMemory,
    _ body: (_ entry: (Int) -> UInt64, _ level: Int) -> Void
  ) {
    var table = (state.translation & 0xFFF_FFFF_FFFF) << 12
    for level in stride(from: 2, through: 0, by: -1) {
      guard let host = memory.host(of: table, count: 4096) else { return }
      let entries = host.assumingMemoryBound(to: UInt64.self)
      let shift = UInt64(9 * level)
      let entry = entries[Int((address >> (12 + shift)) & 0x1FF)]
      if entry & (Entry.readable | Entry.executable) != 0 || level == 0 {
        body({ entries[($0 >> Int(shift)) & 0x1FF] }, level)
        return
      }
      guard entry & Entry.valid != 0 else { return }
      table = ((entry >> 10) & 0xFFF_FFFF_FFFF) << 12
    }
  }
}
