import Assembler

// What the instructions on SSE registers must look like.

let someXMM: [XMM] = [.xmm0, .xmm3, .xmm7, .xmm8, .xmm15]

/// Calls of one instruction `destination, source`, between registers and from memory.
struct XMMForms: Sendable {
  let mnemonic: String
  /// How a memory operand's size is named.
  let size: String
  /// What follows the operands.
  var suffix = ""
  let register: @Sendable (inout X86Assembler, XMM, XMM) -> Void
  let memory: @Sendable (inout X86Assembler, XMM, Address) -> Void

  func add(to list: inout CaseList) {
    for destination in XMM.allCases {
      for source in XMM.allCases {
        list.add("\(mnemonic) \(name(destination)),\(name(source))\(suffix)") { [register] in
          register(&$0, destination, source)
        }
      }
    }
    for destination in someXMM {
      for operand in Memory.some {
        list.add("\(mnemonic) \(name(destination)),\(size) PTR \(operand.text)\(suffix)") { [memory] in
          memory(&$0, destination, operand.address)
        }
      }
    }
  }
}

func sseMoveCases() -> [EncodingCase] {
  var list = CaseList()
  let forms = [
    XMMForms(
      mnemonic: "movsd", size: "QWORD", register: { $0.movsd($1, $2) },
      memory: { $0.movsd($1, $2) }),
    XMMForms(
      mnemonic: "movss", size: "DWORD", register: { $0.movss($1, $2) },
      memory: { $0.movss($1, $2) }),
    XMMForms(
      mnemonic: "movaps", size: "XMMWORD", register: { $0.movaps($1, $2) },
      memory: { $0.movaps($1, $2) }),
    XMMForms(
      mnemonic: "movapd", size: "XMMWORD", register: { $0.movapd($1, $2) },
      memory: { $0.movapd($1, $2) }),
    XMMForms(
      mnemonic: "movups", size: "XMMWORD", register: { $0.movups($1, $2) },
      memory: { $0.movups($1, $2) }),
    XMMForms(
      mnemonic: "movupd", size: "XMMWORD", register: { $0.movupd($1, $2) },
      memory: { $0.movupd($1, $2) }),
    XMMForms(
      mnemonic: "movdqa", size: "XMMWORD", register: { $0.movdqa($1, $2) },
      memory: { $0.movdqa($1, $2) }),
    XMMForms(
      mnemonic: "movdqu", size: "XMMWORD", register: { $0.movdqu($1, $2) },
      memory: { $0.movdqu($1, $2) }),
    XMMForms(
      mnemonic: "movq", size: "QWORD", register: { $0.movq($1, $2) },
      memory: { $0.movq($1, $2) }),
  ]
  for form in forms { form.add(to: &list) }
  for source in someXMM {
    for memory in Memory.some {
      let (m, x) = (memory.text, name(source))
      list.add("movsd QWORD PTR \(m),\(x)") { $0.movsd(memory.address, source) }
      list.add("movss DWORD PTR \(m),\(x)") { $0.movss(memory.address, source) }
      list.add("movaps XMMWORD PTR \(m),\(x)") { $0.movaps(memory.address, source) }
      list.add("movapd XMMWORD PTR \(m),\(x)") { $0.movapd(memory.address, source) }
      list.add("movups XMMWORD PTR \(m),\(x)") { $0.movups(memory.address, source) }
      list.add("movupd XMMWORD PTR \(m),\(x)") { $0.movupd(memory.address, source) }
      list.add("movdqa XMMWORD PTR \(m),\(x)") { $0.movdqa(memory.address, source) }
      list.add("movdqu XMMWORD PTR \(m),\(x)") { $0.movdqu(memory.address, source) }
      list.add("movq QWORD PTR \(m),\(x)") { $0.movq(memory.address, source) }
      list.add("movd DWORD PTR \(m),\(x)") { $0.movd(memory.address, source) }
      list.add("movd \(x),DWORD PTR \(m)") { $0.movd(source, memory.address) }
    }
  }
  for xmm in XMM.allCases {
    for register in Register.allCases {
      let (x, r, e) = (name(xmm), name(register, .w64), name(register, .w32))
      list.add("movq \(x),\(r)") { $0.movq(xmm, register) }
      list.add("movq \(r),\(x)") { $0.movq(register, xmm) }
      list.add("movd \(x),\(e)") { $0.movd(xmm, register) }
      list.add("movd \(e),\(x)") { $0.movd(register, xmm) }
      list.add("pinsrd \(x),\(e),0x3") { $0.pinsrd(xmm, register, 3) }
      list.add("pinsrq \(x),\(r),0x1") { $0.pinsrq(xmm, register, 1) }
      list.add("pextrd \(e),\(x),0x2") { $0.pextrd(register, xmm, 2) }
      list.add("pextrq \(r),\(x),0x1") { $0.pextrq(register, xmm, 1) }
      list.add("movmskps \(e),\(x)") { $0.movmskps(register, xmm) }
      list.add("movmskpd \(e),\(x)") { $0.movmskpd(register, xmm) }
    }
  }
  return list.cases
}

func sseScalarCases() -> [EncodingCase] {
  var list = CaseList()
  for operation in ScalarOperation.allCases {
    for precision in Precision.allCases {
      XMMForms(
        mnemonic: "\(operation)\(precision == .double ? "sd" : "ss")",
        size: precision == .double ? "QWORD" : "DWORD",
        register: { $0.scalar(operation, precision, $1, $2) },
        memory: { $0.scalar(operation, precision, $1, $2) }
      ).add(to: &list)
    }
  }
  let forms = [
    XMMForms(
      mnemonic: "addsd", size: "QWORD", register: { $0.addsd($1, $2) },
      memory: { $0.addsd($1, $2) }),
    XMMForms(
      mnemonic: "addss", size: "DWORD", register: { $0.addss($1, $2) },
      memory: { $0.addss($1, $2) }),
    XMMForms(
      mnemonic: "subsd", size: "QWORD", register: { $0.subsd($1, $2) },
      memory: { $0.subsd($1, $2) }),
    XMMForms(
      mnemonic: "subss", size: "DWORD", register: { $0.subss($1, $2) },
      memory: { $0.subss($1, $2) }),
    XMMForms(
      mnemonic: "mulsd", size: "QWORD", register: { $0.mulsd($1, $2) },
      memory: { $0.mulsd($1, $2) }),
    XMMForms(
      mnemonic: "mulss", size: "DWORD", register: { $0.mulss($1, $2) },
      memory: { $0.mulss($1, $2) }),
    XMMForms(
      mnemonic: "divsd", size: "QWORD", register: { $0.divsd($1, $2) },
      memory: { $0.divsd($1, $2) }),
    XMMForms(
      mnemonic: "divss", size: "DWORD", register: { $0.divss($1, $2) },
      memory: { $0.divss($1, $2) }),
    XMMForms(
      mnemonic: "sqrtsd", size: "QWORD", register: { $0.sqrtsd($1, $2) },
      memory: { $0.sqrtsd($1, $2) }),
    XMMForms(
      mnemonic: "sqrtss", size: "DWORD", register: { $0.sqrtss($1, $2) },
      memory: { $0.sqrtss($1, $2) }),
    XMMForms(
      mnemonic: "minsd", size: "QWORD", register: { $0.minsd($1, $2) },
      memory: { $0.minsd($1, $2) }),
    XMMForms(
      mnemonic: "minss", size: "DWORD", register: { $0.minss($1, $2) },
      memory: { $0.minss($1, $2) }),
    XMMForms(
      mnemonic: "maxsd", size: "QWORD", register: { $0.maxsd($1, $2) },
      memory: { $0.maxsd($1, $2) }),
    XMMForms(
      mnemonic: "maxss", size: "DWORD", register: { $0.maxss($1, $2) },
      memory: { $0.maxss($1, $2) }),
    XMMForms(
      mnemonic: "ucomisd", size: "QWORD", register: { $0.ucomisd($1, $2) },
      memory: { $0.ucomisd($1, $2) }),
    XMMForms(
      mnemonic: "ucomiss", size: "DWORD", register: { $0.ucomiss($1, $2) },
      memory: { $0.ucomiss($1, $2) }),
    XMMForms(
      mnemonic: "comisd", size: "QWORD", register: { $0.comisd($1, $2) },
      memory: { $0.comisd($1, $2) }),
    XMMForms(
      mnemonic: "comiss", size: "DWORD", register: { $0.comiss($1, $2) },
      memory: { $0.comiss($1, $2) }),
  ]
  for form in forms { form.add(to: &list) }
  for predicate in ComparePredicate.allCases {
    let infix = "\(predicate)"
    XMMForms(
      mnemonic: "cmp\(infix)sd", size: "QWORD", register: { $0.cmpsd($1, $2, predicate) },
      memory: { $0.cmpsd($1, $2, predicate) }
    ).add(to: &list)
    XMMForms(
      mnemonic: "cmp\(infix)ss", size: "DWORD", register: { $0.cmpss($1, $2, predicate) },
      memory: { $0.cmpss($1, $2, predicate) }
    ).add(to: &list)
  }
  return list.cases
}

func sseConversionCases() -> [EncodingCase] {
  var list = CaseList()
  for width: Width in [.w32, .w64] {
    for xmm in XMM.allCases {
      for register in Register.allCases {
        let (x, r) = (name(xmm), name(register, width))
        list.add("cvtsi2sd \(x),\(r)") { $0.cvtsi2sd(width, xmm, register) }
        list.add("cvtsi2ss \(x),\(r)") { $0.cvtsi2ss(width, xmm, register) }
        list.add("cvttsd2si \(r),\(x)") { $0.cvttsd2si(width, register, xmm) }
        list.add("cvtsd2si \(r),\(x)") { $0.cvtsd2si(width, register, xmm) }
        list.add("cvttss2si \(r),\(x)") { $0.cvttss2si(width, register, xmm) }
        list.add("cvtss2si \(r),\(x)") { $0.cvtss2si(width, register, xmm) }
      }
    }
    for memory in Memory.some {
      let (m, r) = (memory.text, name(.r8, width))
      let address = memory.address
      list.add("cvtsi2sd xmm9,\(pointer(width))\(m)") { $0.cvtsi2sd(width, .xmm9, address) }
      list.add("cvtsi2ss xmm9,\(pointer(width))\(m)") { $0.cvtsi2ss(width, .xmm9, address) }
      list.add("cvttsd2si \(r),QWORD PTR \(m)") { $0.cvttsd2si(width, .r8, address) }
      list.add("cvtsd2si \(r),QWORD PTR \(m)") { $0.cvtsd2si(width, .r8, address) }
      list.add("cvttss2si \(r),DWORD PTR \(m)") { $0.cvttss2si(width, .r8, address) }
      list.add("cvtss2si \(r),DWORD PTR \(m)") { $0.cvtss2si(width, .r8, address) }
    }
  }
  let conversions = [
    XMMForms(
      mnemonic: "cvtss2sd", size: "DWORD", register: { $0.cvtss2sd($1, $2) },
      memory: { $0.cvtss2sd($1, $2) }),
    XMMForms(
      mnemonic: "cvtsd2ss", size: "QWORD", register: { $0.cvtsd2ss($1, $2) },
      memory: { $0.cvtsd2ss($1, $2) }),
  ]
  for form in conversions { form.add(to: &list) }
  for mode in RoundingMode.allCases {
    for suppress in [false, true] {
      let control = hex(mode.rawValue + (suppress ? 8 : 0))
      XMMForms(
        mnemonic: "roundsd", size: "QWORD", suffix: ",\(control)",
        register: { $0.roundsd($1, $2, mode, suppressInexact: suppress) },
        memory: { $0.roundsd($1, $2, mode, suppressInexact: suppress) }
      ).add(to: &list)
      XMMForms(
        mnemonic: "roundss", size: "DWORD", suffix: ",\(control)",
        register: { $0.roundss($1, $2, mode, suppressInexact: suppress) },
        memory: { $0.roundss($1, $2, mode, suppressInexact: suppress) }
      ).add(to: &list)
    }
  }
  return list.cases
}

func ssePackedCases() -> [EncodingCase] {
  var list = CaseList()
  let forms = [
    XMMForms(
      mnemonic: "andps", size: "XMMWORD", register: { $0.andps($1, $2) },
      memory: { $0.andps($1, $2) }),
    XMMForms(
      mnemonic: "andpd", size: "XMMWORD", register: { $0.andpd($1, $2) },
      memory: { $0.andpd($1, $2) }),
    XMMForms(
      mnemonic: "orps", size: "XMMWORD", register: { $0.orps($1, $2) },
      memory: { $0.orps($1, $2) }),
    XMMForms(
      mnemonic: "orpd", size: "XMMWORD", register: { $0.orpd($1, $2) },
      memory: { $0.orpd($1, $2) }),
    XMMForms(
      mnemonic: "xorps", size: "XMMWORD", register: { $0.xorps($1, $2) },
      memory: { $0.xorps($1, $2) }),
    XMMForms(
      mnemonic: "xorpd", size: "XMMWORD", register: { $0.xorpd($1, $2) },
      memory: { $0.xorpd($1, $2) }),
    XMMForms(
      mnemonic: "andnps", size: "XMMWORD", register: { $0.andnps($1, $2) },
      memory: { $0.andnps($1, $2) }),
    XMMForms(
      mnemonic: "andnpd", size: "XMMWORD", register: { $0.andnpd($1, $2) },
      memory: { $0.andnpd($1, $2) }),
    XMMForms(
      mnemonic: "pand", size: "XMMWORD", register: { $0.pand($1, $2) },
      memory: { $0.pand($1, $2) }),
    XMMForms(
      mnemonic: "pandn", size: "XMMWORD", register: { $0.pandn($1, $2) },
      memory: { $0.pandn($1, $2) }),
    XMMForms(
      mnemonic: "por", size: "XMMWORD", register: { $0.por($1, $2) },
      memory: { $0.por($1, $2) }),
    XMMForms(
      mnemonic: "pxor", size: "XMMWORD", register: { $0.pxor($1, $2) },
      memory: { $0.pxor($1, $2) }),
    XMMForms(
      mnemonic: "pcmpeqd", size: "XMMWORD", register: { $0.pcmpeqd($1, $2) },
      memory: { $0.pcmpeqd($1, $2) }),
    XMMForms(
      mnemonic: "pcmpeqq", size: "XMMWORD", register: { $0.pcmpeqq($1, $2) },
      memory: { $0.pcmpeqq($1, $2) }),
    XMMForms(
      mnemonic: "paddq", size: "XMMWORD", register: { $0.paddq($1, $2) },
      memory: { $0.paddq($1, $2) }),
    XMMForms(
      mnemonic: "psubq", size: "XMMWORD", register: { $0.psubq($1, $2) },
      memory: { $0.psubq($1, $2) }),
    XMMForms(
      mnemonic: "unpcklps", size: "XMMWORD", register: { $0.unpcklps($1, $2) },
      memory: { $0.unpcklps($1, $2) }),
    XMMForms(
      mnemonic: "unpcklpd", size: "XMMWORD", register: { $0.unpcklpd($1, $2) },
      memory: { $0.unpcklpd($1, $2) }),
    XMMForms(
      mnemonic: "punpckldq", size: "XMMWORD", register: { $0.punpckldq($1, $2) },
      memory: { $0.punpckldq($1, $2) }),
    XMMForms(
      mnemonic: "punpcklqdq", size: "XMMWORD", register: { $0.punpcklqdq($1, $2) },
      memory: { $0.punpcklqdq($1, $2) }),
    XMMForms(
      mnemonic: "pshufd", size: "XMMWORD", suffix: ",0x4e", register: { $0.pshufd($1, $2, 0x4E) },
      memory: { $0.pshufd($1, $2, 0x4E) }),
    XMMForms(
      mnemonic: "shufps", size: "XMMWORD", suffix: ",0xb1", register: { $0.shufps($1, $2, 0xB1) },
      memory: { $0.shufps($1, $2, 0xB1) }),
  ]
  for form in forms { form.add(to: &list) }
  for xmm in XMM.allCases {
    for count: UInt8 in [1, 31, 63] {
      let operands = "\(name(xmm)),\(hex(count))"
      list.add("psllq \(operands)") { $0.psllq(xmm, by: count) }
      list.add("psrlq \(operands)") { $0.psrlq(xmm, by: count) }
      list.add("pslld \(operands)") { $0.pslld(xmm, by: count) }
      list.add("psrld \(operands)") { $0.psrld(xmm, by: count) }
    }
  }
  return list.cases
}
