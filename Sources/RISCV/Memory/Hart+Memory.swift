internal import GuestMemory
internal import Synchronization
internal import Translator

/// The slow paths of memory accesses: what the views do not know.
extension Hart {
  /// The privilege that loads, stores and fetches have.
  var privilege: Privilege { state.pointee.privilege == 0 ? .user : .supervisor }

  /// Translates for an access and returns the physical address.
  func translate(_ address: UInt64, _ kind: AccessKind) throws(Trap) -> UInt64 {
    try look(address, kind).physical
  }

  /// Translates for an access: the physical address, and whether it is the same in all address spaces.
  private func look(
    _ address: UInt64, _ kind: AccessKind
  ) throws(Trap) -> (physical: UInt64, isGlobal: Bool) {
    let found = try PageWalk.find(
      address, kind, state: state.pointee, privilege: privilege, memory: memory)
    let view = view
    if !found.isGlobal { if kind == .execute { view.noteLocalCode() } else { view.noteLocalPage(address) } }
    if found.size > 4096 { view.noteLargePage(address, size: found.size, isGlobal: found.isGlobal) }
    return (found.page | (address & 0xFFF), found.isGlobal)
  }

  /// Loads `width` bytes from anywhere, entering the page in the view if it is RAM.
  func slowLoad(_ address: UInt64, width: Int) throws(Trap) -> UInt64 {
    let first = 4096 - Int(address & 0xFFF)
    if first < width {
      let low = try slowLoad(address, width: first, joining: true)
      let high = try slowLoad(address &+ UInt64(first), width: width - first, joining: true)
      return low | high << UInt64(8 * first)
    }
    return try slowLoad(address, width: width, joining: false)
  }

  private func slowLoad(_ address: UInt64, width: Int, joining: Bool) throws(Trap) -> UInt64 {
    let physical = try translate(address, .read)
    if let page = memory.host(of: physical & ~0xFFF, count: 4096) {
      view.fill(table: AddressView.readTable, address, host: page)
      if views.windows.base != 0 { fillWindow(address, forWriting: false) }
      let place = UnsafeRawPointer(page + Int(physical & 0xFFF))
      switch width {
      case 1: return UInt64(place.load(as: UInt8.self))
      case 2: return UInt64(UInt16(littleEndian: place.loadUnaligned(as: UInt16.self)))
      case 4: return UInt64(UInt32(littleEndian: place.loadUnaligned(as: UInt32.self)))
      case 8: return UInt64(littleEndian: place.loadUnaligned(as: UInt64.self))
      default:
        var value: UInt64 = 0
        withUnsafeMutableBytes(of: &value) {
          $0.copyMemory(from: UnsafeRawBufferPointer(start: place, count: width))
        }
        return UInt64(littleEndian: value)
      }
    }
    guard bus.claims(physical), !joining else {
      throw Trap(cause: Trap.Cause.loadAccessFault, value: address)
    }
    return bus.read(address: physical, width: width)
  }

  /// Stores the low `width` bytes anywhere, entering the page in the view if it is RAM. A store that
  /// crosses pages changes nothing unless both can be written.
  func slowStore(_ address: UInt64, width: Int, value: UInt64) throws(Trap) {
    let first = 4096 - Int(address & 0xFFF)
    if first < width {
      let next = address &+ UInt64(first)
      guard let low = try writablePage(address), let high = try writablePage(next) else {
        throw Trap(cause: Trap.Cause.storeAccessFault, value: address)
      }
      var bytes = value.littleEndian
      withUnsafeBytes(of: &bytes) {
        (low + (4096 - first)).copyMemory(from: $0.baseAddress!, byteCount: first)
        high.copyMemory(from: $0.baseAddress! + first, byteCount: width - first)
      }
      return
    }
    let physical = try translate(address, .write)
    if let page = claimWrites(physical: physical, address: address) {
      let place = page + Int(physical & 0xFFF)
      switch width {
      case 1: place.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
      case 2: place.storeBytes(of: UInt16(truncatingIfNeeded: value).littleEndian, as: UInt16.self)
      case 4: place.storeBytes(of: UInt32(truncatingIfNeeded: value).littleEndian, as: UInt32.self)
      default: place.storeBytes(of: value.littleEndian, as: UInt64.self)
      }
      return
    }
    guard bus.claims(physical) else { throw Trap(cause: Trap.Cause.storeAccessFault, value: address) }
    bus.write(address: physical, width: width, value: value)
  }

  /// The host page behind `address`, ready to be written and entered in the view; nil when it is not
  /// RAM.
  func writablePage(_ address: UInt64) throws(Trap) -> UnsafeMutableRawPointer? {
    let physical = try translate(address, .write)
    return claimWrites(physical: physical, address: address)
  }

  /// Enters a RAM page in the view's write table. Of this and ``HartCluster/claimCode(page:for:)`` at
  /// least one sees the other: each sets its flag first and looks for the other's then.
  private func claimWrites(physical: UInt64, address: UInt64) -> UnsafeMutableRawPointer? {
    guard let page = memory.host(of: physical & ~0xFFF, count: 4096),
      let number = memory.pageNumber(of: physical)
    else { return nil }
    memory.own(page: number)
    let flags = memory.setFlags(
      GuestMemory.PageFlag.writeCached | GuestMemory.PageFlag.dirty, ofPage: number)
    if flags & GuestMemory.PageFlag.code != 0 {
      cluster.codeWritten(page: number)
      // A page that is code and data by turns is mapped and unmapped each time.
      if views.windows.base != 0 { views.windows.noteFault(10) }
    }
    view.fill(table: AddressView.writeTable, address, host: page)
    writers.note(page: number, address: address)
    if views.windows.base != 0 { fillWindow(address, forWriting: true) }
    return page
  }

  /// The host address of a naturally aligned word for an atomic access.
  func atomicTarget(_ address: UInt64, width: UInt64, kind: AccessKind) throws(Trap)
    -> UnsafeMutableRawPointer
  {
    guard address & (width - 1) == 0 else {
      let cause = kind == .read ? Trap.Cause.loadAddressMisaligned : Trap.Cause.storeAddressMisaligned
      throw Trap(cause: cause, value: address)
    }
    let table = kind == .read ? AddressView.readTable : AddressView.writeTable
    if let host = view.hit(table: table, address, size: width) { return host }
    if kind == .write {
      if let page = try writablePage(address) { return page + Int(address & 0xFFF) }
    } else {
      let physical = try translate(address, .read)
      if let page = memory.host(of: physical & ~0xFFF, count: 4096) {
        view.fill(table: table, address, host: page)
        return page + Int(address & 0xFFF)
      }
    }
    throw Trap(cause: kind.accessFault, value: address)
  }

  /// The RAM page that holds the instruction at `address`: its host address and number.
  func fetchPage(_ address: UInt64) throws(Trap) -> (
    host: UnsafeMutableRawPointer, number: Int, physical: UInt64, isGlobal: Bool
  ) {
    let (physical, isGlobal) = try look(address, .execute)
    guard let page = memory.host(of: physical & ~0xFFF, count: 4096),
      let number = memory.pageNumber(of: physical)
    else { throw Trap(cause: Trap.Cause.instructionAccessFault, value: address) }
    return (page, number, physical & ~0xFFF, isGlobal)
  }
}
