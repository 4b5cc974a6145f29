internal import Assembler

/// What a load or store call-out is asked to do.
package enum MemoryAccessKind {
  /// Bytes, in the low four bits; then the flags.
  package static let widthMask: UInt32 = 0xF
  package static let signed: UInt32 = 0x10
  /// The upper half of the register becomes all ones.
  package static let boxed: UInt32 = 0x20
}

/// Guest memory: an inline look into the current view's table, and a call-out for what it does not
/// know, which then enters it.
extension CodeGenerator {
  /// Puts the address `a + imm` in rcx and the matching table entry's offset in rax, goes to `slow`
  /// unless the entry matches, and leaves the host address in rcx. `isAligned`: and unless the address is a
  /// multiple of the access's bytes.
  mutating func look(_ i: Instruction, table: Int, bytes: Int32, isAligned: Bool = false, slow: Label) {
    address(i)
    assembler.mov(.w32, .rax, .rcx)
    assembler.shr(.w32, .rax, by: UInt8(AddressView.pageShift - 4))
    assembler.and(.w32, .rax, Int32((AddressView.entryCount - 1) << 4))
    let entry = Address(base: HostRegisters.view, index: .rax, displacement: Int32(table))
    assembler.mov(.w64, .rdx, entry)
    assembler.xor(.w64, .rdx, .rcx)
    if isAligned {
      // What is left of a matching page is the offset in it.
      assembler.test(.w64, .rdx, ~0xFFF | (bytes - 1))
      assembler.jump(.ne, to: slow)
    } else {
      assembler.cmp(.w64, .rdx, 4096 - bytes)
      assembler.jump(.a, to: slow)
    }
    assembler.add(.w64, .rcx, entry.offset(by: 8))
  }

  private mutating func address(_ i: Instruction) {
    settle()
    let imm = Int32(truncatingIfNeeded: i.imm)
    if i.a == 0 {
      moveAddress(i, to: .rcx)
    } else if let a = location(i.a) {
      if imm != 0 {
        assembler.lea(.w64, .rcx, Address(base: a, displacement: imm))
      } else if a != .rcx {
        assembler.mov(.w64, .rcx, a)
      }
    } else {
      assembler.mov(.w64, .rcx, home(i.a))
      if imm != 0 { assembler.add(.w64, .rcx, imm) }
    }
    forgetScratch()
  }

  /// Puts the address of an access without a base in a register.
  mutating func moveAddress(_ i: Instruction, to register: Register) {
    if i.isPlace {
      movePlace(register, UInt64(bitPattern: i.imm))
    } else {
      assembler.mov(.w64, register, i.imm)
    }
  }

  static func bytes(_ width: Width) -> Int32 {
    switch width {
    case .w8: 1
    case .w16: 2
    case .w32: 4
    default: 8
    }
  }

  mutating func load(_ i: Instruction, width: Width, signed: Bool, boxed: Bool = false) {
    let bytes = Self.bytes(width)
    let slow = assembler.newLabel()
    let back = assembler.newLabel()
    var cold = Cold(kind: .load, entry: slow, back: back, register: i.destination, pc: pc)
    let source = locate(i, table: AddressView.readTable, bytes: bytes, &cold)
    let work = target(i.destination)
    if work == .rax { scratch.held[0] = 0 }
    if cold.kind == .windowLoad { assembler.gs() }
    if signed {
      assembler.movsx(.w64, work, source, from: width)
    } else if width == .w64 {
      assembler.mov(.w64, work, source)
    } else {
      assembler.movzx(work, source, from: width)
    }
    if boxed {
      box(work)
      scratch.held[2] = 0
    }
    if work == .rax {
      // The slow path comes back with its value in rax too.
      assembler.bind(back)
      if i.destination < 32 {
        if i.destination != 0 { define(i.destination, in: work) }
      } else {
        store(work, to: i.destination)
      }
    } else {
      assembler.bind(back)
    }
    // Only now: a load that faults has changed nothing.
    if i.destination >= 32 { noteFloat() }
    cold.access =
      UInt32(bytes) | (signed ? MemoryAccessKind.signed : 0) | (boxed ? MemoryAccessKind.boxed : 0)
    colds.append(cold)
    forget(i.destination)
  }

  mutating func store(_ i: Instruction, width: Width) {
    let bytes = Self.bytes(width)
    let slow = assembler.newLabel()
    let back = assembler.newLabel()
    var cold = Cold(kind: .store, entry: slow, back: back, register: i.b, access: UInt32(bytes), pc: pc)
    let place = locate(i, table: AddressView.writeTable, bytes: bytes, &cold)
    occupy(cold.kind == .windowStore ? cold.base : .rcx)
    let source = i.b == 0 ? nil : location(i.b) ?? value(i.b, fresh())
    scratch.busy = 0
    cold.access32 = Int32(assembler.offset)
    if cold.kind == .windowStore { assembler.gs() }
    if let source { assembler.mov(width, place, source) } else { assembler.mov(width, place, 0) }
    assembler.bind(back)
    colds.append(cold)
  }

  /// Sets the upper half of a register whose upper half is zero.
  mutating func box(_ work: Register) {
    assembler.mov(.w64, .rdx, Int64(bitPattern: 0xFFFF_FFFF_0000_0000))
    assembler.or(.w64, work, .rdx)
  }

  /// Notes, once a block, that the guest's floating-point state changes.
  mutating func noteFloat() {
    guard !floatNoted else { return }
    floatNoted = true
    assembler.mov(.w32, field(ContextLayout.floatTouched), -1)
  }

  mutating func fence(_ i: Instruction) {
    // The host keeps every other order by itself. This one a machine with one CPU needs too: devices see what
    // it writes, and it what they write, from other threads.
    if Ordering(rawValue: i.info).contains(.storeLoad) {
      assembler.lock()
      assembler.or(.w32, Address(base: .rsp), 0)
    }
  }
}
