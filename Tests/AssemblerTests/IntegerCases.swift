import Assembler

// What the instructions on general registers must look like.

let wide: [Width] = [.w16, .w32, .w64]
/// Registers that touch each encoding: low, with a byte form that needs REX, high.
let someRegisters: [Register] = [.rax, .rdx, .rsp, .rdi, .r8, .r13, .r15]
let immediates: [Int32] = [
  0, 1, -1, 127, 128, -128, -129, 255, 256, 0x7FFF, 0x8000, -0x8000, 0x12345, .max, .min,
]

/// An immediate in the width it has in the instruction, whose low bits count.
func immediate(_ value: Int32, _ width: Width) -> String { hex(Int64(value), width) }

func moveCases() -> [EncodingCase] {
  var list = CaseList()
  for width in Width.allCases {
    for destination in Register.allCases {
      for source in Register.allCases {
        list.add("mov \(name(destination, width)),\(name(source, width))") {
          $0.mov(width, destination, source)
        }
      }
    }
    for memory in Memory.all {
      list.add("mov r9\(["b", "w", "d", ""][Int(width.rawValue)]),\(pointer(width))\(memory.text)") {
        $0.mov(width, .r9, memory.address)
      }
    }
    for memory in Memory.some {
      for register in Register.allCases {
        list.add("mov \(pointer(width))\(memory.text),\(name(register, width))") {
          $0.mov(width, memory.address, register)
        }
      }
      for value in immediates {
        list.add("mov \(pointer(width))\(memory.text),\(immediate(value, width))") {
          $0.mov(width, memory.address, value)
        }
      }
    }
    for register in Register.allCases where width != .w64 {
      for value in immediates {
        list.add("mov \(name(register, width)),\(immediate(value, width))") {
          $0.mov(width, register, Int64(value))
        }
      }
    }
  }
  for register in Register.allCases {
    list.add("xor \(name(register, .w32)),\(name(register, .w32))") { $0.zero(register) }
    for value: Int64 in [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF] {
      list.add("mov \(name(register, .w32)),\(hex(value, .w32))") { $0.mov(.w64, register, value) }
    }
    for value: Int64 in [-1, -128, -0x8000_0000] {
      list.add("mov \(name(register, .w64)),\(hex(value, .w64))") { $0.mov(.w64, register, value) }
    }
    for value: Int64 in [-0x8000_0001, 0x1_0000_0000, 0x1234_5678_9ABC_DEF0, .max, .min] {
      list.add("movabs \(name(register, .w64)),\(hex(value, .w64))") {
        $0.mov(.w64, register, value)
      }
    }
    for memory in Memory.some {
      for width in wide {
        list.add("lea \(name(register, width)),\(memory.text)") {
          $0.lea(width, register, memory.address)
        }
      }
    }
  }
  return list.cases
}

func extensionCases() -> [EncodingCase] {
  var list = CaseList()
  for destination in Register.allCases {
    let d32 = name(destination, .w32)
    for source in Register.allCases {
      list.add("movzx \(d32),\(name(source, .w8))") { $0.movzx(destination, source, from: .w8) }
      list.add("movzx \(d32),\(name(source, .w16))") { $0.movzx(destination, source, from: .w16) }
      list.add("mov \(d32),\(name(source, .w32))") { $0.movzx(destination, source, from: .w32) }
      list.add("mov \(name(destination, .w64)),\(name(source, .w64))") {
        $0.movzx(destination, source, from: .w64)
      }
      for width in wide {
        for from in Width.allCases where from.rawValue < width.rawValue {
          let mnemonic = from == .w32 ? "movsxd" : "movsx"
          list.add("\(mnemonic) \(name(destination, width)),\(name(source, from))") {
            $0.movsx(width, destination, source, from: from)
          }
        }
      }
    }
    for memory in Memory.some {
      list.add("movzx \(d32),BYTE PTR \(memory.text)") {
        $0.movzx(destination, memory.address, from: .w8)
      }
      list.add("movzx \(d32),WORD PTR \(memory.text)") {
        $0.movzx(destination, memory.address, from: .w16)
      }
      list.add("mov \(d32),DWORD PTR \(memory.text)") {
        $0.movzx(destination, memory.address, from: .w32)
      }
      list.add("mov \(name(destination, .w64)),QWORD PTR \(memory.text)") {
        $0.movzx(destination, memory.address, from: .w64)
      }
      for width in wide {
        for from in Width.allCases where from.rawValue < width.rawValue {
          let mnemonic = from == .w32 ? "movsxd" : "movsx"
          list.add("\(mnemonic) \(name(destination, width)),\(pointer(from))\(memory.text)") {
            $0.movsx(width, destination, memory.address, from: from)
          }
        }
        list.add("movbe \(name(destination, width)),\(pointer(width))\(memory.text)") {
          $0.movbe(width, destination, memory.address)
        }
        list.add("movbe \(pointer(width))\(memory.text),\(name(destination, width))") {
          $0.movbe(width, memory.address, destination)
        }
      }
    }
    list.add("bswap \(d32)") { $0.bswap(.w32, destination) }
    list.add("bswap \(name(destination, .w64))") { $0.bswap(.w64, destination) }
  }
  list.add("cdqe") { $0.cdqe() }
  list.add("cdq") { $0.cdq() }
  list.add("cqo") { $0.cqo() }
  return list.cases
}

func arithmeticCases() -> [EncodingCase] {
  var list = CaseList()
  for operation in Arithmetic.allCases {
    for width in Width.allCases {
      for destination in Register.allCases {
        let d = name(destination, width)
        for source in Register.allCases {
          list.add("\(operation) \(d),\(name(source, width))") {
            $0.arithmetic(operation, width, destination, source)
          }
        }
        for value in immediates {
          list.add("\(operation) \(d),\(immediate(value, width))") {
            $0.arithmetic(operation, width, destination, value)
          }
        }
      }
      for memory in Memory.some {
        let m = pointer(width) + memory.text
        for register in someRegisters {
          list.add("\(operation) \(name(register, width)),\(m)") {
            $0.arithmetic(operation, width, register, memory.address)
          }
          list.add("\(operation) \(m),\(name(register, width))") {
            $0.arithmetic(operation, width, memory.address, register)
          }
        }
        for value in immediates {
          list.add("\(operation) \(m),\(immediate(value, width))") {
            $0.arithmetic(operation, width, memory.address, value)
          }
        }
      }
    }
  }
  addArithmeticMnemonics(to: &list)
  for width in Width.allCases {
    for first in Register.allCases {
      for second in Register.allCases {
        list.add("test \(name(first, width)),\(name(second, width))") {
          $0.test(width, first, second)
        }
      }
      for value in immediates {
        list.add("test \(name(first, width)),\(immediate(value, width))") {
          $0.test(width, first, value)
        }
      }
    }
    for memory in Memory.some {
      let m = pointer(width) + memory.text
      for register in someRegisters {
        list.add("test \(m),\(name(register, width))") { $0.test(width, memory.address, register) }
      }
      for value in immediates {
        list.add("test \(m),\(immediate(value, width))") { $0.test(width, memory.address, value) }
      }
    }
  }
  return list.cases
}

func oneOperandCases() -> [EncodingCase] {
  var list = CaseList()
  for width in Width.allCases {
    for register in Register.allCases {
      let r = name(register, width)
      list.add("inc \(r)") { $0.inc(width, register) }
      list.add("dec \(r)") { $0.dec(width, register) }
      list.add("neg \(r)") { $0.neg(width, register) }
      list.add("not \(r)") { $0.not(width, register) }
      list.add("mul \(r)") { $0.mul(width, register) }
      list.add("imul \(r)") { $0.imul(width, register) }
      list.add("div \(r)") { $0.div(width, register) }
      list.add("idiv \(r)") { $0.idiv(width, register) }
    }
    for memory in Memory.some {
      let m = pointer(width) + memory.text
      list.add("inc \(m)") { $0.inc(width, memory.address) }
      list.add("dec \(m)") { $0.dec(width, memory.address) }
      list.add("neg \(m)") { $0.neg(width, memory.address) }
      list.add("not \(m)") { $0.not(width, memory.address) }
      list.add("mul \(m)") { $0.mul(width, memory.address) }
      list.add("imul \(m)") { $0.imul(width, memory.address) }
      list.add("div \(m)") { $0.div(width, memory.address) }
      list.add("idiv \(m)") { $0.idiv(width, memory.address) }
    }
  }
  return list.cases
}

func multiplicationCases() -> [EncodingCase] {
  var list = CaseList()
  for width in wide {
    for destination in Register.allCases {
      let d = name(destination, width)
      for source in Register.allCases {
        list.add("imul \(d),\(name(source, width))") { $0.imul(width, destination, source) }
        for value in immediates {
          list.add("imul \(d),\(name(source, width)),\(immediate(value, width))") {
            $0.imul(width, destination, source, value)
          }
        }
      }
      for memory in Memory.some {
        let m = pointer(width) + memory.text
        list.add("imul \(d),\(m)") { $0.imul(width, destination, memory.address) }
        list.add("imul \(d),\(m),\(immediate(-128, width))") {
          $0.imul(width, destination, memory.address, -128)
        }
        list.add("imul \(d),\(m),\(immediate(128, width))") {
          $0.imul(width, destination, memory.address, 128)
        }
      }
    }
  }
  return list.cases
}

func conditionCases() -> [EncodingCase] {
  var list = CaseList()
  for condition in Condition.allCases {
    for register in Register.allCases {
      list.add("set\(condition) \(name(register, .w8))") { $0.setcc(condition, register) }
      for width in wide {
        for source in Register.allCases {
          list.add("cmov\(condition) \(name(register, width)),\(name(source, width))") {
            $0.cmov(condition, width, register, source)
          }
        }
      }
    }
    for memory in Memory.some {
      list.add("set\(condition) BYTE PTR \(memory.text)") { $0.setcc(condition, memory.address) }
      for width in wide {
        list.add("cmov\(condition) \(name(.r11, width)),\(pointer(width))\(memory.text)") {
          $0.cmov(condition, width, .r11, memory.address)
        }
      }
    }
  }
  return list.cases
}

func atomicCases() -> [EncodingCase] {
  var list = CaseList()
  for width in Width.allCases {
    for first in Register.allCases {
      for second in Register.allCases {
        // Which comes first makes no difference; the short form with rax is shown with rax last.
        let (one, other) = first == .rax && width != .w8 ? (second, first) : (first, second)
        list.add("xchg \(name(one, width)),\(name(other, width))") {
          $0.xchg(width, first, second)
        }
      }
      for memory in Memory.some {
        let (m, r) = (pointer(width) + memory.text, name(first, width))
        list.add("xchg \(m),\(r)") { $0.xchg(width, memory.address, first) }
        list.add("xadd \(m),\(r)") { $0.xadd(width, memory.address, first) }
        list.add("cmpxchg \(m),\(r)") { $0.cmpxchg(width, memory.address, first) }
        if memory.text.hasPrefix("[") {
          list.add("mov \(r),\(pointer(width))gs:\(memory.text)") {
            $0.gs()
            $0.mov(width, first, memory.address)
          }
        }
        list.add("lock xadd \(m),\(r)") {
          $0.lock()
          $0.xadd(width, memory.address, first)
        }
        list.add("lock cmpxchg \(m),\(r)") {
          $0.lock()
          $0.cmpxchg(width, memory.address, first)
        }
        list.add("lock or \(m),\(r)") {
          $0.lock()
          $0.or(width, memory.address, first)
        }
      }
    }
  }
  for memory in Memory.some {
    list.add("cmpxchg8b QWORD PTR \(memory.text)") { $0.cmpxchg8b(memory.address) }
    list.add("lock cmpxchg16b OWORD PTR \(memory.text)") {
      $0.lock()
      $0.cmpxchg16b(memory.address)
    }
    list.add("lock add DWORD PTR \(memory.text),0x0") {
      $0.lock()
      $0.add(.w32, memory.address, 0)
    }
  }
  list.add("mfence") { $0.mfence() }
  list.add("lfence") { $0.lfence() }
  list.add("sfence") { $0.sfence() }
  list.add("pause") { $0.pause() }
  return list.cases
}

func controlCases() -> [EncodingCase] {
  var list = CaseList()
  for register in Register.allCases {
    let r = name(register, .w64)
    list.add("push \(r)") { $0.push(register) }
    list.add("pop \(r)") { $0.pop(register) }
    list.add("call \(r)") { $0.call(register) }
    list.add("jmp \(r)") { $0.jmp(register) }
  }
  for memory in Memory.all {
    list.add("jmp QWORD PTR \(memory.text)") { $0.jmp(memory.address) }
  }
  for memory in Memory.some {
    list.add("push QWORD PTR \(memory.text)") { $0.push(memory.address) }
    list.add("pop QWORD PTR \(memory.text)") { $0.pop(memory.address) }
    list.add("call QWORD PTR \(memory.text)") { $0.call(memory.address) }
    list.add("prefetcht0 BYTE PTR \(memory.text)") { $0.prefetcht0(memory.address) }
    list.add("ldmxcsr DWORD PTR \(memory.text)") { $0.ldmxcsr(memory.address) }
    list.add("stmxcsr DWORD PTR \(memory.text)") { $0.stmxcsr(memory.address) }
  }
  for value in immediates {
    list.add("push \(immediate(value, .w64))") { $0.push(value) }
  }
  list.add("pushf") { $0.pushfq() }
  list.add("popf") { $0.popfq() }
  list.add("ret") { $0.ret() }
  list.add("ud2") { $0.ud2() }
  list.add("int3") { $0.int3() }
  list.add("hlt") { $0.hlt() }
  list.add("lahf") { $0.lahf() }
  list.add("sahf") { $0.sahf() }
  list.add("cmc") { $0.cmc() }
  list.add("clc") { $0.clc() }
  list.add("stc") { $0.stc() }
  list.add("cld") { $0.cld() }
  list.add("rdtsc") { $0.rdtsc() }
  list.add("cpuid") { $0.cpuid() }
  list.add("rep stos BYTE PTR es:[rdi],al") { $0.repStosb() }
  list.add("rep stos QWORD PTR es:[rdi],rax") { $0.repStosq() }
  list.add("rep movs BYTE PTR es:[rdi],BYTE PTR ds:[rsi]") { $0.repMovsb() }
  list.add("rep movs QWORD PTR es:[rdi],QWORD PTR ds:[rsi]") { $0.repMovsq() }
  return list.cases
}
