internal import Assembler

/// The look into the current view's jump cache.
enum JumpLookup {
  /// `(view, guest address, block key, index) -> code`, a ``CodeIndex``: what generated code asks when the jump cache
  /// does not know. Enters the code there, or returns nil.
  static let further:
    @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UnsafeRawPointer) -> UnsafeRawPointer? = {
      base, pc, key, place in
      let index = place.assumingMemoryBound(to: CodeIndex.self)
      let view = AddressView(base: base, missTarget: index.pointee.code)
      guard let (code, _) = index.pointee.find(pc, key: key, view: view) else { return nil }
      view.setCode(code, at: pc, key: key)
      return code
    }

  /// Finds the code for the guest address in rcx, or goes to `miss`. The result is where the code's address is;
  /// overwrites rax and rdx.
  static func emit(_ assembler: inout X86Assembler, key: UInt64, miss: UInt64) -> Address {
    assembler.mov(.w32, .rax, .rcx)
    assembler.mov(.w32, .rdx, .rcx)
    assembler.shl(.w32, .rax, by: 3)
    assembler.shr(.w32, .rdx, by: 9)
    assembler.xor(.w32, .rax, .rdx)
    assembler.and(.w32, .rax, Int32((AddressView.jumpEntryCount - 1) << 4))
    let entry = Address(base: HostRegisters.view, index: .rax, displacement: Int32(AddressView.jumpTable))
    if key == 0 {
      assembler.cmp(.w64, .rcx, entry)
    } else {
      assembler.lea(.w64, .rdx, Address(base: .rcx, displacement: Int32(key)))
      assembler.cmp(.w64, .rdx, entry)
    }
    assembler.jcc(.ne, to: miss)
    return entry.offset(by: 8)
  }
}
