internal import Assembler

/// What makes a block one that can be copied: a note of each place in its code that a copy has otherwise.
///
/// The same code is seen at other addresses whenever a program starts, because systems load shared libraries and
/// programs where chance will have them. A copy takes a twentieth of the time of a translation.
extension CodeGenerator {
  /// Guest addresses of blocks that may be copied, and of their copies: such that addresses near them need eight
  /// bytes, and are all in the window, if there is one, or may be.
  static let movableAddresses: Range<UInt64> = 1 << 33..<AddressWindow.size - 1 << 33
  /// How far a place may be from its block.
  static let farthestPlace: Int64 = 1 << 32

  /// Puts a guest address in a register that depends on the block's own. Keeps the flags.
  mutating func movePlace(_ register: Register, _ address: UInt64) {
    assembler.mov(.w64, register, Int64(bitPattern: address))
    note(.place, bytes: 8)
  }

  /// Notes that the last bytes that were emitted are of a kind that a copy has otherwise.
  @inline(__always) mutating func note(_ kind: Relocation.Kind, bytes: Int = 4) {
    if isMovable { relocations.append(Relocation(kind, at: assembler.offset &- bytes &- entry)) }
  }

  mutating func call(thunk: UInt64) {
    assembler.call(to: thunk)
    note(.distance)
  }

  mutating func jump(toThunk thunk: UInt64) {
    assembler.jmp(to: thunk)
    note(.distance)
  }

  mutating func jump(_ condition: Condition, toThunk thunk: UInt64) {
    assembler.jcc(condition, to: thunk)
    note(.distance)
  }

  /// Puts an exit's number in rax, twice, with `flag` in bit 0.
  mutating func moveExit(_ site: Int, flag: Int = 0) {
    assembler.mov(.w32, .rax, Int64((firstSite + site) << 1 | flag))
    note(.exit)
  }

  /// Copies a block that was translated for another guest address of its page. `original` is where its code is
  /// executed, `distance` how much further on the copy is in the guest. Exits are put where `sites` says, as
  /// ``generate(_:pc:key:usesWindow:pageIdentity:pool:sites:next:)`` does. Returns where the copy starts in the
  /// buffer; the caller looks at ``failed`` afterwards.
  mutating func copy(
    _ original: BlockOriginal, code: UnsafeRawPointer, distance: UInt64, pageIdentity: UInt32,
    relocations: UnsafePointer<Relocation>, exits: UnsafePointer<ExitSite>,
    sites: (UnsafeMutablePointer<ExitSite>, first: Int)
  ) -> Int {
    assembler.align(to: 16)
    entry = assembler.offset
    let moved = Int32(truncatingIfNeeded: entry) &- original.start
    guard let copy = assembler.append(UnsafeRawBufferPointer(start: code, count: Int(original.size))) else {
      return entry
    }
    for index in 0..<Int(original.relocationCount) {
      let field = copy + relocations[index].offset
      switch relocations[index].kind {
      case .distance: field.change(Int32.self) { $0 &- moved }
      case .place: field.change(UInt64.self) { $0 &+ distance }
      case .exit:
        field.change(Int32.self) {
          $0 &+ Int32(truncatingIfNeeded: sites.first) &* 2 &- original.firstSite &* 2
        }
      }
    }
    for index in 0..<Int(original.siteCount) {
      let exit = exits[index]
      var site = ExitSite(
        target: exit.target &+ distance, field: exit.field &+ moved, stub: exit.stub & .max &+ moved,
        guardField: 0, guardIdentity: 0, pageAndKey: exit.pageAndKey & 1 << 31 | pageIdentity)
      // As it was before it was linked.
      (copy + Int(exit.field &- original.start)).change(Int32.self) { _ in site.stub &- site.field &- 4 }
      if exit.guardField != 0 {
        site.guardField = exit.guardField &+ moved
        let guardField = copy + Int(exit.guardField &- original.start)
        guardField.change(Int32.self) { _ in .max }
        // The displacement of what is compared is in front of what it is compared with.
        (guardField - 4).change(Int32.self) { _ in AddressView.pageIdentityOffset(site.target) }
      }
      (sites.0 + index).initialize(to: site)
    }
    return entry
  }
}

extension UnsafeMutableRawPointer {
  /// Replaces an integer at any alignment.
  @inline(__always)
  fileprivate func change<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type, _ body: (T) -> T) {
    storeBytes(of: body(T(littleEndian: loadUnaligned(as: T.self))).littleEndian, as: T.self)
  }
}
