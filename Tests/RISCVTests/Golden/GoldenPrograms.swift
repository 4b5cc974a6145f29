import RISCV
import Translator

/// What the translator does depends on more than the operation: on where operands live, on constants, on what comes
/// before in the block, on where a jump goes.
enum GoldenPrograms {
  // Registers that are in host registers: x10 to x13, x15. In memory: x5 to x7, x16 on.

  static let operands: [GoldenProgram] = [
    GoldenProgram("all in host registers") { $0.add(10, 11, 12) },
    GoldenProgram("all in memory") { $0.add(5, 6, 7) },
    GoldenProgram("destination is the first operand") { $0.sub(10, 10, 11) },
    GoldenProgram("destination is the second operand") { $0.sub(10, 11, 10) },
    GoldenProgram("destination is nothing") { $0.add(0, 10, 11) },
    GoldenProgram("operand is zero") { c in
      c.sub(10, 0, 11)
      c.or(10, 11, 0)
      c.and(10, 11, 0)
    },
    GoldenProgram("constants: none, one, minus one, short, long") { c in
      c.addi(10, 11, 0)
      c.addi(10, 10, 1)
      c.addi(10, 10, -1)
      c.addi(10, 11, 100)
      c.addi(5, 5, -2048)
      c.andi(10, 10, 255)
      c.andi(10, 10, 1)
    },
    GoldenProgram("constants that are built up") { c in
      c.li(10, 0x12345)
      c.li(5, 0xFFFF_FFFF_8000_0000)
      c.li(10, 0x1234_5678_9ABC_DEF0)
    },
    GoldenProgram("address of something, and its use") { c in
      c.word(0x0000_1517)  // auipc x10, 1
      c.addi(10, 10, 8)
      c.ld(11, 10)
    },
    GoldenProgram("shifts by constants that extend") { c in
      c.slli(10, 10, 32)
      c.srli(10, 10, 32)
      c.slli(11, 11, 48)
      c.srli(11, 11, 48)
    },
    GoldenProgram("shift and add") { c in
      c.slli(10, 11, 3)
      c.add(10, 10, 12)
      c.ld(10, 10)
    },
  ]

  static let memory: [GoldenProgram] = [
    GoldenProgram("load, with its cold code", cold: true) { $0.ld(10, 11, 16) },
    GoldenProgram("store, with its cold code", cold: true) { $0.sd(10, 11, 16) },
    GoldenProgram("several of one base", cold: true) { c in
      c.ld(10, 2, 8)
      c.ld(11, 2, 16)
      c.sd(12, 2, 24)
    },
    GoldenProgram("destination is the base") { $0.ld(10, 10) },
    GoldenProgram("into memory, from memory") { c in
      c.lw(5, 6, -4)
      c.sw(5, 7, -4)
    },
    GoldenProgram("into nothing; nothing stored") { c in
      c.ld(0, 10)
      c.sd(0, 10)
    },
    GoldenProgram("at a known address") { c in
      c.li(10, 0x1_0000)
      c.ld(11, 10, 8)
    },
    GoldenProgram("floating point, in host registers and in memory", float: true, cold: true) { c in
      c.fld(10, 11, 8)
      c.fld(16, 11, 16)
      c.word(0x00A5_B427)  // fsd f10, 8(x11)
    },
    GoldenProgram("floating point in a block without") { $0.fld(10, 11, 8) },
    GoldenProgram("exchange, with its cold code", cold: true) { $0.amo(0x0800_302F, 10, 12, 11) },
    GoldenProgram("reserved and conditional", cold: true) { c in
      c.amo(0x1000_302F, 10, 0, 11, aq: true)
      c.amo(0x1800_302F, 12, 10, 11, rl: true)
    },
    GoldenProgram("fences that cost something, and that do not") { c in
      c.fence(.rw, .rw)
      c.fence(.w, .r)
      c.fence(.r, .r)
      c.fence(.w, .w)
      c.fence(.r, .rw)
    },
  ]

  static let flow: [GoldenProgram] = [
    GoldenProgram("branch ahead", cold: true) { c in
      let ahead = c.newLabel()
      c.branch(.equal, 10, 11, to: ahead)
      c.addi(10, 10, 1)
      c.bind(ahead)
    },
    GoldenProgram("branch back", cold: true) { c in
      let back = c.here()
      c.addi(10, 10, -1)
      c.branch(.notEqual, 10, 0, to: back)
    },
    GoldenProgram("branches on zero and on what is in memory") { c in
      let ahead = c.newLabel()
      c.branch(.less, 10, 0, to: ahead)
      c.branch(.notLess, 0, 10, to: ahead)
      c.branch(.lessUnsigned, 5, 10, to: ahead)
      c.branch(.notLessUnsigned, 10, 5, to: ahead)
      c.bind(ahead)
    },
    GoldenProgram("comparison and branch on it") { c in
      let ahead = c.newLabel()
      c.word(LockstepCode.r(0x3033, 10, 11, 12))  // sltu
      c.branch(.notEqual, 10, 0, to: ahead)
      c.bind(ahead)
    },
    GoldenProgram("branch to another page", cold: true, at: 0x1_0FF0) { c in
      c.word(0x063 | 10 << 15 | 11 << 20 | LockstepCode.immediateB(0x100))
      c.addi(10, 10, 1)
    },
    GoldenProgram("jump on this page", cold: true) { c in c.word(0x6F | LockstepCode.immediateJ(0x40)) },
    GoldenProgram("jump to another page", cold: true) { c in c.word(0x6F | LockstepCode.immediateJ(0x1040)) },
    GoldenProgram("call on this page", cold: true) { c in c.word(0xEF | LockstepCode.immediateJ(0x40)) },
    GoldenProgram("call far away", cold: true) { c in
      c.word(0x0001_0097)  // auipc x1, 0x10
      c.jalr(1, 1, 8)
    },
    GoldenProgram("call through a register", cold: true) { $0.jalr(1, 15) },
    GoldenProgram("return", cold: true) { $0.jalr(0, 1) },
    GoldenProgram("jump through a register", cold: true) { $0.jalr(0, 15, 4) },
    GoldenProgram("the page's end", cold: true, at: 0x1_0FFC) { $0.addi(10, 10, 1) },
  ]

  static let system: [GoldenProgram] = [
    GoldenProgram("environment call", cold: true) { $0.ecall() },
    GoldenProgram("not an instruction") { $0.word(0) },
    GoldenProgram("control register that is a field", supervisor: true) { $0.csrrs(10, 0x142, 0) },
    GoldenProgram("control register that is exchanged", supervisor: true) { c in
      c.csrrw(4, 0x140, 4)
      c.csrrw(0, 0x141, 10)
    },
    GoldenProgram("status register", supervisor: true, cold: true) { $0.csrrs(10, 0x100, 0) },
    GoldenProgram("interrupts off and on", supervisor: true, cold: true) { c in
      c.csrrci(10, 0x100, 2)
      c.word(0x1001_6073)  // csrrsi x0, sstatus, 2
    },
    GoldenProgram("interrupts as they were", supervisor: true) { $0.csrrs(0, 0x100, 10) },
    GoldenProgram("status register as a whole", supervisor: true, cold: true) { c in
      c.csrrw(0, 0x100, 10)
      c.csrrs(11, 0x100, 12)
      c.csrrc(13, 0x100, 14)
    },
    GoldenProgram("user memory permitted and not", supervisor: true, cold: true) { c in
      c.li(31, Status.permitUserMemory)
      c.csrrs(0, 0x100, 31)
      c.ld(10, 11)
      c.csrrc(0, 0x100, 31)
    },
    GoldenProgram("control register by the hart") { $0.csrrs(10, 0xC01, 0) },
    GoldenProgram("floating-point flags and rounding", float: true) { c in
      c.csrrs(10, 0x001, 0)
      c.csrrs(11, 0x002, 0)
      c.csrrw(10, 0x001, 11)
    },
    GoldenProgram("floating point of a program that has used none") { $0.word(0x02B5_7553) },
  ]
}
