import RISCV
import Translator

/// A program for an emulated user process that carries out one row's instruction many times, with
/// random operands, and writes out what each made of registers and memory.
///
/// It is a number of sites, each an encoding of its own in a loop over operand sets:
///
///     load all registers from the site's input
///     loop: load the operands of the case and fcsr
///           the instruction
///           store the destination, fcsr and (control flow) where execution went on
///     store all registers
///
/// Three registers and a scratch one, none of them the instruction's, run the loop.
struct InstructionProgram {
  struct Site {
    let bits: UInt32
    let instruction: Instruction
    /// Registers of the loop, which the test ignores.
    let input, output, counter, scratch: Int
    var address: UInt64 = 0
    var registers: [UInt64] = []
    var cases: [Case] = []
    /// Whether a load-reserved of the same address goes before.
    var reserves = false

    var harness: Set<Int> { [input, output, counter, scratch] }
  }

  struct Case {
    /// The operands `a`, `b`, `c`.
    var operands: [UInt64]
    var fcsr: UInt64
  }

  /// What came out of a case, in the order of the output.
  struct Result: Equatable {
    var destination: UInt64
    var fcsr: UInt64
    /// Where execution went on, for control flow.
    var next: UInt64
  }

  static let codeBase: UInt64 = 0x10_0000
  static let inputBase: UInt64 = 0x1000_0000
  static let memoryBase: UInt64 = 0x3000_0000
  static let outputBase: UInt64 = 0x4000_0000
  static let casesPerSite = 192
  /// Bytes of memory that each case has to itself.
  static let cell = 16
  static let outputPerSite = casesPerSite * 24 + 64 * 8
  /// How far control flow goes from the instruction.
  static let reach: UInt64 = 4096 + 64

  let row: InstructionRow
  private(set) var sites: [Site] = []
  /// The memory that loads, stores and atomics reach, before the run.
  private(set) var memory: [UInt8] = []
  private var code = GuestCode(base: codeBase)
  private var random: RandomBits

  init(row: InstructionRow, sites count: Int = 24) {
    self.row = row
    random = RandomBits(row.name)
    let cells = count * Self.casesPerSite
    if accessesMemory {
      for _ in 0..<cells * Self.cell / 8 + 2 { memory += little(random.integer()) }
    }
    for number in 0..<count {
      var site = makeSite()
      emit(&site, number: number)
      sites.append(site)
    }
    emitEnd()
  }

  /// The executable.
  var file: ElfFile {
    var input: [UInt8] = []
    for site in sites {
      for value in site.registers { input += little(value) }
      for operands in site.cases {
        for value in operands.operands { input += little(value) }
        input += little(operands.fcsr)
      }
    }
    var file = ElfFile(entry: Self.codeBase)
    file.segments = [
      .init(address: Self.codeBase, bytes: code.bytes, size: code.bytes.count),
      .init(address: Self.inputBase, bytes: input, size: input.count),
      .init(address: Self.memoryBase, bytes: memory, size: memory.count + 8),
      .init(address: Self.outputBase, bytes: [], size: sites.count * Self.outputPerSite),
    ]
    return file
  }

  // MARK: - Choice of operands

  var isControlFlow: Bool { [.b, .j, .cj, .cbBranch].contains(row.format) || isIndirect }
  var isIndirect: Bool { row.operation == .jumpIndirect }
  var isAtomic: Bool { row.format == .atomic || row.format == .loadReserved }
  var isStoreConditional: Bool {
    row.operation == .storeConditional32 || row.operation == .storeConditional64
  }
  var accessesMemory: Bool {
    (Operation.load8.rawValue...Operation.atomicMaximumUnsigned64.rawValue).contains(row.operation.rawValue)
  }

  private mutating func makeSite() -> Site {
    while true {
      let bits = random.encoding(of: row)
      let instruction = Decoder.decode(bits)
      let used = [instruction.destination, instruction.a, instruction.b].map(Int.init)
      if (accessesMemory || isIndirect) && instruction.a == 0 { continue }
      if isControlFlow && !isIndirect {
        guard (32...4096).contains(instruction.imm.magnitude) else { continue }
      }
      let free = (1..<32).filter { !used.contains($0) }.shuffled(using: &random)
      var site = Site(
        bits: bits, instruction: instruction, input: free[0], output: free[1], counter: free[2],
        scratch: free[3])
      site.registers = (0..<64).map { $0 < 32 ? random.integer() : random.double() }
      site.registers[0] = 0
      site.reserves = isStoreConditional && random.below(3) != 0
      return site
    }
  }

  private mutating func operand(_ register: UInt8) -> UInt64 {
    if register < 32 { return random.integer() }
    return row.name.hasSuffix(".s") || row.name.hasSuffix(".w") ? random.single() : random.double()
  }

  private mutating func makeCase(_ site: Site, address: UInt64) -> Case {
    let i = site.instruction
    var operands = [operand(i.a), operand(i.b), operand(i.c)]
    // QEMU before 8.0 counts on into the upper word.
    if row.name == "ctzw" && UInt32(truncatingIfNeeded: operands[0]) == 0 { operands[0] |= 1 << 31 }
    if accessesMemory { operands[0] = address &- (isAtomic ? 0 : UInt64(bitPattern: i.imm)) }
    // Comparisons meet equal operands, sums cancel.
    if random.below(6) == 0 && !accessesMemory { operands[1] = operands[0] }
    if random.below(6) == 0 && row.format == .r4 {
      let (a, b) = (Double(bitPattern: operands[0]), Double(bitPattern: operands[1]))
      let (x, y) = (
        Float(bitPattern: UInt32(truncatingIfNeeded: operands[0])),
        Float(bitPattern: UInt32(truncatingIfNeeded: operands[1]))
      )
      operands[2] =
        row.name.hasSuffix(".d")
        ? (-(a * b)).bitPattern : 0xFFFF_FFFF_0000_0000 | UInt64((-(x * y)).bitPattern)
      if random.below(2) == 0 { operands[2] ^= 1 << (row.name.hasSuffix(".d") ? 63 : 31) }
    }
    return Case(operands: operands, fcsr: UInt64(random.below(5)) << 5 | random.next() & random.next() & 31)
  }

  // MARK: - Code

  private mutating func emit(_ site: inout Site, number: Int) {
    let i = site.instruction
    let inputSize = UInt64(64 * 8 + Self.casesPerSite * 32)
    code.set(site.input, to: Self.inputBase + UInt64(number) * inputSize)
    for register in 1..<64 where !site.harness.contains(register) {
      code.load(register, from: site.input, register * 8)
    }
    code.add(site.input, 64 * 8)
    code.set(site.output, to: Self.outputBase + UInt64(number * Self.outputPerSite))
    code.set(site.counter, to: UInt64(Self.casesPerSite))

    let loop = code.address
    code.load(site.scratch, from: site.input, 24)
    code.writeFCSR(site.scratch)
    if i.c != 0 { code.load(Int(i.c), from: site.input, 16) }
    if i.b != 0 { code.load(Int(i.b), from: site.input, 8) }
    if i.a != 0 { code.load(Int(i.a), from: site.input, 0) }
    if site.reserves {
      code.word(row.match & 0x7000 | 0x1000_002F | UInt32(i.a) << 15 | UInt32(site.scratch) << 7)
    }
    let targets = emitInstruction(&site)
    code.store(Int(i.destination), to: site.output, 0)
    if isControlFlow { code.store(site.scratch, to: site.output, 16) }
    code.readFCSR(site.scratch)
    code.store(site.scratch, to: site.output, 8)
    code.add(site.input, 32)
    code.add(site.output, 24)
    code.add(site.counter, -1)
    code.loop(while: site.counter, to: loop)
    for register in 0..<64 { code.store(register, to: site.output, register * 8) }

    for index in 0..<Self.casesPerSite {
      // Plain accesses are at any address, atomic ones aligned.
      let offset = isAtomic ? [0, 8][random.below(2)] : random.below(9)
      let place = (number * Self.casesPerSite + index) * Self.cell + offset
      var operands = makeCase(site, address: Self.memoryBase + UInt64(place))
      if isIndirect {
        let target = targets[random.below(targets.count)]
        operands.operands[0] =
          (target &- UInt64(bitPattern: i.imm)) ^ (i.imm & 1 == 0 ? random.next() & 1 : 0)
      }
      site.cases.append(operands)
    }
  }

  /// The instruction, for control flow amid landing places; returns those that an indirect jump may
  /// aim at.
  private mutating func emitInstruction(_ site: inout Site) -> [UInt64] {
    guard isControlFlow else {
      site.address = code.address
      code.instruction(site.bits)
      return []
    }
    site.address = code.address + 4 + Self.reach
    let join = site.address + Self.reach
    code.jump(to: site.address)
    code.skip(to: site.address)
    code.instruction(site.bits)
    code.skip(to: join)
    var targets: [UInt64] = []
    if isIndirect {
      for step in 1...4 as ClosedRange<UInt64> {
        targets.append(site.address + step * 128 + random.next() % 8 * 2)
        targets.append(site.address - step * 128)
      }
    } else {
      targets = [site.address &+ UInt64(bitPattern: site.instruction.imm)]
    }
    for place in targets + [site.address + UInt64(site.instruction.length)] {
      code.patch(GuestCode.addressOfSelf(site.scratch), at: place)
      code.patch(GuestCode.jump(from: place + 4, to: join), at: place + 4)
    }
    return targets
  }

  /// Writes the output and the memory to the standard output and exits.
  private mutating func emitEnd() {
    let (a0, a1, a2, a7) = (10, 11, 12, 17)
    for (address, size) in [
      (Self.outputBase, sites.count * Self.outputPerSite), (Self.memoryBase, memory.count),
    ] {
      code.set(a0, to: 1)
      code.set(a1, to: address)
      code.set(a2, to: UInt64(size))
      code.set(a7, to: 64)  // write
      code.ecall()
    }
    code.set(a0, to: 0)
    code.set(a7, to: 93)  // exit
    code.ecall()
  }
}
