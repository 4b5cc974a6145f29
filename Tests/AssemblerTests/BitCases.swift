import Assembler

/// The mnemonics by name: that each means its operation, in every form.
func addArithmeticMnemonics(to list: inout CaseList) {
  for width in Width.allCases {
    let (d, s, m) = (name(.rsi, width), name(.r10, width), pointer(width) + "[rbp-0x8]")
    let memory = Address(base: .rbp, displacement: -8)
    let value = immediate(-2, width)
    list.add("add \(d),\(s)") { $0.add(width, .rsi, .r10) }
    list.add("add \(d),\(m)") { $0.add(width, .rsi, memory) }
    list.add("add \(m),\(s)") { $0.add(width, memory, .r10) }
    list.add("add \(d),\(value)") { $0.add(width, .rsi, -2) }
    list.add("add \(m),\(value)") { $0.add(width, memory, -2) }
    list.add("or \(d),\(s)") { $0.or(width, .rsi, .r10) }
    list.add("or \(d),\(m)") { $0.or(width, .rsi, memory) }
    list.add("or \(m),\(s)") { $0.or(width, memory, .r10) }
    list.add("or \(d),\(value)") { $0.or(width, .rsi, -2) }
    list.add("or \(m),\(value)") { $0.or(width, memory, -2) }
    list.add("adc \(d),\(s)") { $0.adc(width, .rsi, .r10) }
    list.add("adc \(d),\(m)") { $0.adc(width, .rsi, memory) }
    list.add("adc \(m),\(s)") { $0.adc(width, memory, .r10) }
    list.add("adc \(d),\(value)") { $0.adc(width, .rsi, -2) }
    list.add("adc \(m),\(value)") { $0.adc(width, memory, -2) }
    list.add("sbb \(d),\(s)") { $0.sbb(width, .rsi, .r10) }
    list.add("sbb \(d),\(m)") { $0.sbb(width, .rsi, memory) }
    list.add("sbb \(m),\(s)") { $0.sbb(width, memory, .r10) }
    list.add("sbb \(d),\(value)") { $0.sbb(width, .rsi, -2) }
    list.add("sbb \(m),\(value)") { $0.sbb(width, memory, -2) }
    list.add("and \(d),\(s)") { $0.and(width, .rsi, .r10) }
    list.add("and \(d),\(m)") { $0.and(width, .rsi, memory) }
    list.add("and \(m),\(s)") { $0.and(width, memory, .r10) }
    list.add("and \(d),\(value)") { $0.and(width, .rsi, -2) }
    list.add("and \(m),\(value)") { $0.and(width, memory, -2) }
    list.add("sub \(d),\(s)") { $0.sub(width, .rsi, .r10) }
    list.add("sub \(d),\(m)") { $0.sub(width, .rsi, memory) }
    list.add("sub \(m),\(s)") { $0.sub(width, memory, .r10) }
    list.add("sub \(d),\(value)") { $0.sub(width, .rsi, -2) }
    list.add("sub \(m),\(value)") { $0.sub(width, memory, -2) }
    list.add("xor \(d),\(s)") { $0.xor(width, .rsi, .r10) }
    list.add("xor \(d),\(m)") { $0.xor(width, .rsi, memory) }
    list.add("xor \(m),\(s)") { $0.xor(width, memory, .r10) }
    list.add("xor \(d),\(value)") { $0.xor(width, .rsi, -2) }
    list.add("xor \(m),\(value)") { $0.xor(width, memory, -2) }
    list.add("cmp \(d),\(s)") { $0.cmp(width, .rsi, .r10) }
    list.add("cmp \(d),\(m)") { $0.cmp(width, .rsi, memory) }
    list.add("cmp \(m),\(s)") { $0.cmp(width, memory, .r10) }
    list.add("cmp \(d),\(value)") { $0.cmp(width, .rsi, -2) }
    list.add("cmp \(m),\(value)") { $0.cmp(width, memory, -2) }
  }
}

/// The same for shifts.
func addShiftMnemonics(to list: inout CaseList) {
  for width in Width.allCases {
    let (r, m) = (name(.rsi, width), pointer(width) + "[r12+0x8]")
    let memory = Address(base: .r12, displacement: 8)
    list.add("rol \(r),0x5") { $0.rol(width, .rsi, by: 5) }
    list.add("rol \(m),0x5") { $0.rol(width, memory, by: 5) }
    list.add("rol \(r),cl") { $0.rol(width, .rsi) }
    list.add("rol \(m),cl") { $0.rol(width, memory) }
    list.add("ror \(r),0x5") { $0.ror(width, .rsi, by: 5) }
    list.add("ror \(m),0x5") { $0.ror(width, memory, by: 5) }
    list.add("ror \(r),cl") { $0.ror(width, .rsi) }
    list.add("ror \(m),cl") { $0.ror(width, memory) }
    list.add("rcl \(r),0x5") { $0.rcl(width, .rsi, by: 5) }
    list.add("rcl \(m),0x5") { $0.rcl(width, memory, by: 5) }
    list.add("rcl \(r),cl") { $0.rcl(width, .rsi) }
    list.add("rcl \(m),cl") { $0.rcl(width, memory) }
    list.add("rcr \(r),0x5") { $0.rcr(width, .rsi, by: 5) }
    list.add("rcr \(m),0x5") { $0.rcr(width, memory, by: 5) }
    list.add("rcr \(r),cl") { $0.rcr(width, .rsi) }
    list.add("rcr \(m),cl") { $0.rcr(width, memory) }
    list.add("shl \(r),0x5") { $0.shl(width, .rsi, by: 5) }
    list.add("shl \(m),0x5") { $0.shl(width, memory, by: 5) }
    list.add("shl \(r),cl") { $0.shl(width, .rsi) }
    list.add("shl \(m),cl") { $0.shl(width, memory) }
    list.add("shr \(r),0x5") { $0.shr(width, .rsi, by: 5) }
    list.add("shr \(m),0x5") { $0.shr(width, memory, by: 5) }
    list.add("shr \(r),cl") { $0.shr(width, .rsi) }
    list.add("shr \(m),cl") { $0.shr(width, memory) }
    list.add("sar \(r),0x5") { $0.sar(width, .rsi, by: 5) }
    list.add("sar \(m),0x5") { $0.sar(width, memory, by: 5) }
    list.add("sar \(r),cl") { $0.sar(width, .rsi) }
    list.add("sar \(m),cl") { $0.sar(width, memory) }
  }
}

func shiftCases() -> [EncodingCase] {
  var list = CaseList()
  for shift in Shift.allCases {
    for width in Width.allCases {
      for register in Register.allCases {
        let r = name(register, width)
        list.add("\(shift) \(r),cl") { $0.shift(shift, width, register) }
        list.add("\(shift) \(r),1") { $0.shift(shift, width, register, by: 1) }
        for count: UInt8 in [0, 2, 7, 31, 63, 255] {
          list.add("\(shift) \(r),\(hex(count))") { $0.shift(shift, width, register, by: count) }
        }
      }
      for memory in Memory.some {
        let m = pointer(width) + memory.text
        list.add("\(shift) \(m),cl") { $0.shift(shift, width, memory.address) }
        list.add("\(shift) \(m),1") { $0.shift(shift, width, memory.address, by: 1) }
        list.add("\(shift) \(m),0x9") { $0.shift(shift, width, memory.address, by: 9) }
      }
    }
  }
  addShiftMnemonics(to: &list)
  for width in wide {
    for destination in Register.allCases {
      for source in someRegisters {
        let operands = "\(name(destination, width)),\(name(source, width))"
        list.add("shld \(operands),0xb") { $0.shld(width, destination, source, by: 11) }
        list.add("shrd \(operands),0xb") { $0.shrd(width, destination, source, by: 11) }
        list.add("shld \(operands),cl") { $0.shld(width, destination, source) }
        list.add("shrd \(operands),cl") { $0.shrd(width, destination, source) }
      }
    }
  }
  return list.cases
}

func bitCases() -> [EncodingCase] {
  var list = CaseList()
  for width in wide {
    for first in Register.allCases {
      let r = name(first, width)
      for second in Register.allCases {
        let s = name(second, width)
        list.add("bt \(r),\(s)") { $0.bt(width, first, second) }
        list.add("bts \(r),\(s)") { $0.bts(width, first, second) }
        list.add("btr \(r),\(s)") { $0.btr(width, first, second) }
        list.add("btc \(r),\(s)") { $0.btc(width, first, second) }
        list.add("lzcnt \(r),\(s)") { $0.lzcnt(width, first, second) }
        list.add("tzcnt \(r),\(s)") { $0.tzcnt(width, first, second) }
        list.add("popcnt \(r),\(s)") { $0.popcnt(width, first, second) }
        list.add("bsf \(r),\(s)") { $0.bsf(width, first, second) }
        list.add("bsr \(r),\(s)") { $0.bsr(width, first, second) }
      }
      list.add("bt \(r),0xd") { $0.bt(width, first, bit: 13) }
      list.add("bts \(r),0xd") { $0.bts(width, first, bit: 13) }
      list.add("btr \(r),0xd") { $0.btr(width, first, bit: 13) }
      list.add("btc \(r),0xd") { $0.btc(width, first, bit: 13) }
    }
    for memory in Memory.some {
      let (m, r) = (pointer(width) + memory.text, name(.rdi, width))
      list.add("bt \(m),0x3") { $0.bt(width, memory.address, bit: 3) }
      list.add("bts \(m),0x3") { $0.bts(width, memory.address, bit: 3) }
      list.add("btr \(m),0x3") { $0.btr(width, memory.address, bit: 3) }
      list.add("btc \(m),0x3") { $0.btc(width, memory.address, bit: 3) }
      list.add("lzcnt \(r),\(m)") { $0.lzcnt(width, .rdi, memory.address) }
      list.add("tzcnt \(r),\(m)") { $0.tzcnt(width, .rdi, memory.address) }
      list.add("popcnt \(r),\(m)") { $0.popcnt(width, .rdi, memory.address) }
      list.add("bsf \(r),\(m)") { $0.bsf(width, .rdi, memory.address) }
      list.add("bsr \(r),\(m)") { $0.bsr(width, .rdi, memory.address) }
    }
  }
  return list.cases
}

func bmiCases() -> [EncodingCase] {
  var list = CaseList()
  for width: Width in [.w32, .w64] {
    for first in Register.allCases {
      let a = name(first, width)
      for second in Register.allCases {
        let b = name(second, width)
        list.add("rorx \(a),\(b),0x11") { $0.rorx(width, first, second, by: 17) }
        for third in someRegisters {
          let c = name(third, width)
          list.add("shlx \(a),\(b),\(c)") { $0.shlx(width, first, second, count: third) }
          list.add("shrx \(a),\(b),\(c)") { $0.shrx(width, first, second, count: third) }
          list.add("sarx \(a),\(b),\(c)") { $0.sarx(width, first, second, count: third) }
          list.add("mulx \(a),\(b),\(c)") { $0.mulx(width, high: first, low: second, third) }
          list.add("andn \(a),\(b),\(c)") { $0.andn(width, first, second, third) }
          list.add("bextr \(a),\(b),\(c)") { $0.bextr(width, first, second, third) }
          list.add("bzhi \(a),\(b),\(c)") { $0.bzhi(width, first, second, third) }
          list.add("pdep \(a),\(b),\(c)") { $0.pdep(width, first, second, third) }
          list.add("pext \(a),\(b),\(c)") { $0.pext(width, first, second, third) }
        }
      }
    }
    for memory in Memory.some {
      let (m, a, b) = (pointer(width) + memory.text, name(.r9, width), name(.rbx, width))
      let address = memory.address
      list.add("rorx \(a),\(m),0x11") { $0.rorx(width, .r9, address, by: 17) }
      list.add("shlx \(a),\(m),\(b)") { $0.shlx(width, .r9, address, count: .rbx) }
      list.add("shrx \(a),\(m),\(b)") { $0.shrx(width, .r9, address, count: .rbx) }
      list.add("sarx \(a),\(m),\(b)") { $0.sarx(width, .r9, address, count: .rbx) }
      list.add("mulx \(a),\(b),\(m)") { $0.mulx(width, high: .r9, low: .rbx, address) }
      list.add("bextr \(a),\(m),\(b)") { $0.bextr(width, .r9, address, .rbx) }
      list.add("bzhi \(a),\(m),\(b)") { $0.bzhi(width, .r9, address, .rbx) }
      list.add("andn \(a),\(b),\(m)") { $0.andn(width, .r9, .rbx, address) }
      list.add("pdep \(a),\(b),\(m)") { $0.pdep(width, .r9, .rbx, address) }
      list.add("pext \(a),\(b),\(m)") { $0.pext(width, .r9, .rbx, address) }
    }
  }
  return list.cases
}
