internal import Assembler

/// Atomic accesses, by the host's locked instructions. Whatever is not naturally aligned RAM of a known
/// page is interpreted.
extension CodeGenerator {
  private static func is32(_ operation: Operation) -> Bool {
    switch operation {
    case .loadReserved32, .storeConditional32, .atomicSwap32, .atomicAdd32, .atomicXor32, .atomicAnd32,
      .atomicOr32:
      true
    default: false
    }
  }

  /// Puts the host address of the aligned word at `a` in rcx, or has the instruction interpreted and
  /// goes to `back`.
  private mutating func lookAligned(_ i: Instruction, table: Int, back: Label) {
    let bytes: Int32 = Self.is32(i.operation) ? 4 : 8
    let slow = assembler.newLabel()
    var address = i
    address.imm = 0
    look(address, table: table, bytes: bytes, slow: slow)
    // The host's page offsets are the guest's.
    assembler.test(.w32, .rcx, bytes - 1)
    assembler.jump(.ne, to: slow)
    colds.append(Cold(kind: .interpret, entry: slow, back: back, pc: pc, instruction: i))
  }

  /// Puts a result from rax in the destination, sign-extended from the access's width.
  private mutating func finish(_ i: Instruction, back: Label) {
    if i.destination != 0 {
      if Self.is32(i.operation) { assembler.movsx(.w64, .rax, .rax, from: .w32) }
      store(.rax, to: i.destination)
    }
    assembler.bind(back)
    forget(i.destination)
  }

  mutating func loadReserved(_ i: Instruction) {
    let back = assembler.newLabel()
    lookAligned(i, table: AddressView.readTable, back: back)
    assembler.mov(Self.is32(i.operation) ? .w32 : .w64, .rax, Address(base: .rcx))
    assembler.mov(.w64, field(ContextLayout.reservationAddress), .rcx)
    assembler.mov(.w64, field(ContextLayout.reservationValue), .rax)
    finish(i, back: back)
  }

  mutating func storeConditional(_ i: Instruction) {
    let back = assembler.newLabel()
    let failed = assembler.newLabel()
    let done = assembler.newLabel()
    lookAligned(i, table: AddressView.writeTable, back: back)
    assembler.cmp(.w64, .rcx, field(ContextLayout.reservationAddress))
    assembler.mov(.w64, field(ContextLayout.reservationAddress), -1)
    assembler.jumpShort(.ne, to: failed)
    assembler.mov(.w64, .rax, field(ContextLayout.reservationValue))
    let b = value(i.b, .rdx)
    assembler.lock()
    assembler.cmpxchg(Self.is32(i.operation) ? .w32 : .w64, Address(base: .rcx), b)
    assembler.setcc(.ne, .rax)
    assembler.movzx(.rax, .rax, from: .w8)
    assembler.jumpShort(to: done)
    assembler.bind(failed)
    assembler.mov(.w32, .rax, 1)
    assembler.bind(done)
    store(.rax, to: i.destination)
    assembler.bind(back)
    forget(i.destination)
  }

  mutating func atomic(_ i: Instruction) {
    let back = assembler.newLabel()
    let width: Width = Self.is32(i.operation) ? .w32 : .w64
    lookAligned(i, table: AddressView.writeTable, back: back)
    let target = Address(base: .rcx)
    switch i.operation {
    case .atomicSwap32, .atomicSwap64:
      load(i.b, into: .rax)
      assembler.xchg(width, target, .rax)
    case .atomicAdd32, .atomicAdd64:
      load(i.b, into: .rax)
      assembler.lock()
      assembler.xadd(width, target, .rax)
    default:
      let again = assembler.newLabel()
      assembler.mov(width, .rax, target)
      assembler.bind(again)
      assembler.mov(.w64, .rdx, .rax)
      if let b = host(i.b) {
        assembler.arithmetic(Self.logic(i.operation), width, .rdx, b)
      } else if i.b == 0 {
        assembler.arithmetic(Self.logic(i.operation), width, .rdx, 0)
      } else {
        assembler.arithmetic(Self.logic(i.operation), width, .rdx, home(i.b))
      }
      assembler.lock()
      assembler.cmpxchg(width, target, .rdx)
      assembler.jump(.ne, to: again)
    }
    finish(i, back: back)
  }

  private static func logic(_ operation: Operation) -> Arithmetic {
    switch operation {
    case .atomicXor32, .atomicXor64: .xor
    case .atomicAnd32, .atomicAnd64: .and
    default: .or
    }
  }
}
