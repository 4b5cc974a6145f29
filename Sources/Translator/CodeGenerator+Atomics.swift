internal import Assembler

/// Atomic accesses. Where a machine has several CPUs by the host's locked instructions; where it has one, nothing
/// comes between the loads and stores of its own (devices share no words with a guest that both change). Whatever
/// is not naturally aligned RAM of a known page is interpreted.
extension CodeGenerator {
  /// Whether 32 bits are accessed, not 64.
  private static func isWord(_ operation: Operation) -> Bool {
    switch operation {
    case .loadReserved32, .storeConditional32, .atomicSwap32, .atomicAdd32, .atomicXor32, .atomicAnd32,
      .atomicOr32, .atomicMinimum32, .atomicMaximum32, .atomicMinimumUnsigned32, .atomicMaximumUnsigned32:
      true
    default: false
    }
  }

  /// Puts the host address of the aligned word at `a` in rcx, or has the instruction interpreted and
  /// goes to `back`.
  private mutating func lookAligned(_ i: Instruction, table: Int, back: Label) {
    let slow = assembler.newLabel()
    var address = i
    address.imm = 0
    look(address, table: table, bytes: Self.isWord(i.operation) ? 4 : 8, isAligned: true, slow: slow)
    colds.append(Cold(kind: .interpret, entry: slow, back: back, pc: pc, instruction: i))
  }

  /// Puts a result from rax in the destination, sign-extended from the access's width.
  private mutating func finish(_ i: Instruction, back: Label) {
    if i.destination != 0 {
      if Self.isWord(i.operation) {
        let work = target(i.destination)
        assembler.movsx(.w64, work, .rax, from: .w32)
        store(work, to: i.destination)
      } else {
        store(.rax, to: i.destination)
      }
    }
    assembler.bind(back)
    forget(i.destination)
  }

  mutating func loadReserved(_ i: Instruction) {
    let back = assembler.newLabel()
    lookAligned(i, table: AddressView.readTable, back: back)
    assembler.mov(Self.isWord(i.operation) ? .w32 : .w64, .rax, Address(base: .rcx))
    assembler.mov(.w64, field(ContextLayout.reservationAddress), .rcx)
    assembler.mov(.w64, field(ContextLayout.reservationValue), .rax)
    finish(i, back: back)
  }

  mutating func storeConditional(_ i: Instruction) {
    let back = assembler.newLabel()
    let failed = assembler.newLabel()
    let done = assembler.newLabel()
    let width: Width = Self.isWord(i.operation) ? .w32 : .w64
    let word = Address(base: .rcx)
    lookAligned(i, table: AddressView.writeTable, back: back)
    assembler.cmp(.w64, .rcx, field(ContextLayout.reservationAddress))
    assembler.mov(.w64, field(ContextLayout.reservationAddress), -1)
    assembler.jumpShort(.ne, to: failed)
    assembler.mov(width, .rax, field(ContextLayout.reservationValue))
    if isAlone {
      assembler.cmp(width, word, .rax)
      assembler.jumpShort(.ne, to: failed)
      assembler.mov(width, word, value(i.b, .rdx))
      assembler.mov(.w32, .rax, 0)
    } else {
      let b = value(i.b, .rdx)
      assembler.lock()
      assembler.cmpxchg(width, word, b)
      assembler.setcc(.ne, .rax)
      assembler.movzx(.rax, .rax, from: .w8)
    }
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
    let width: Width = Self.isWord(i.operation) ? .w32 : .w64
    lookAligned(i, table: AddressView.writeTable, back: back)
    let word = Address(base: .rcx)
    switch i.operation {
    case .atomicSwap32, .atomicSwap64:
      if isAlone {
        let b = value(i.b, .rdx)
        assembler.mov(width, .rax, word)
        assembler.mov(width, word, b)
      } else {
        load(i.b, into: .rax)
        assembler.xchg(width, word, .rax)
      }
    case .atomicAdd32 where !isAlone, .atomicAdd64 where !isAlone:
      load(i.b, into: .rax)
      assembler.lock()
      assembler.xadd(width, word, .rax)
    default:
      let again = assembler.newLabel()
      assembler.mov(width, .rax, word)
      assembler.bind(again)
      combine(i, width)
      if isAlone {
        assembler.mov(width, word, .rdx)
      } else {
        assembler.lock()
        assembler.cmpxchg(width, word, .rdx)
        assembler.jump(.ne, to: again)
      }
    }
    finish(i, back: back)
  }

  /// Makes a word's new value in rdx of the old one in rax.
  private mutating func combine(_ i: Instruction, _ width: Width) {
    if let operation = Self.arithmetic(i.operation) {
      assembler.mov(width, .rdx, .rax)
      if let b = host(i.b) {
        assembler.arithmetic(operation, width, .rdx, b)
      } else if i.b == 0 {
        assembler.arithmetic(operation, width, .rdx, 0)
      } else {
        assembler.arithmetic(operation, width, .rdx, home(i.b))
      }
      return
    }
    let keepsOld: Condition =
      switch i.operation {
      case .atomicMinimum32, .atomicMinimum64: .l
      case .atomicMaximum32, .atomicMaximum64: .g
      case .atomicMinimumUnsigned32, .atomicMinimumUnsigned64: .b
      default: .a
      }
    load(i.b, into: .rdx)
    assembler.cmp(width, .rax, .rdx)
    assembler.cmov(keepsOld, width, .rdx, .rax)
  }

  private static func arithmetic(_ operation: Operation) -> Arithmetic? {
    switch operation {
    case .atomicAdd32, .atomicAdd64: .add
    case .atomicXor32, .atomicXor64: .xor
    case .atomicAnd32, .atomicAnd64: .and
    case .atomicOr32, .atomicOr64: .or
    default: nil
    }
  }
}
