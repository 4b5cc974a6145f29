import HostSystem
import Translator

/// What a Pebble program leaves behind, on either engine.
struct PebbleOutcome: Equatable {
  var registers: [UInt64]
  var frame: UInt64
  var output: [UInt64]
  var memory: [UInt8]
  /// Accesses outside of memory and words that are no instructions; each is stepped over.
  var faults: [UInt64]
  var didHalt: Bool
}

/// Pebble on the translator: a dispatcher, call-outs, memory of its own.
final class PebbleMachine {
  private let code: CodeStore
  private let context: Context
  private let view: AddressView
  private let lifter = PebbleLifter()
  private let contextMapping: Mapping
  private let viewMapping: Mapping
  private let memory = UnsafeMutableRawPointer.allocate(byteCount: Pebble.memorySize, alignment: 4096)
  /// Of each page, whether code was derived from it.
  private var holdsCode = [Bool](repeating: false, count: Pebble.memorySize >> 12)
  private var output: [UInt64] = []
  private var faults: [UInt64] = []
  private var didHalt = false
  private var budget: Int
  /// The key of all blocks: with numbers with a point in host registers, or without.
  private let key: UInt64

  /// Where the frame register is kept while it is changed by the front end: nowhere but among the
  /// registers. The front end's half of the context holds the count of system instructions.
  private var systemCount: UnsafeMutablePointer<UInt64> { context.word(ContextLayout.frontEnd) }

  init(program: [UInt8], budget: Int, code: CodeStore, usesFloat: Bool = false) throws {
    self.budget = budget
    key = usesFloat ? BlockKeyBit.usesFloat : 0
    self.code = code
    contextMapping = try Mapping.map(size: ContextLayout.size)
    viewMapping = try Mapping.map(size: AddressView.size)
    context = Context(memory: contextMapping.base)
    view = AddressView(base: viewMapping.base, missTarget: code.missTarget)
    view.clear()
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: Pebble.memorySize)
    program.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: program.count) }
    context.word(ContextLayout.view).pointee = UInt64(UInt(bitPattern: view.base))
    context.word(ContextLayout.owner).pointee = UInt64(
      UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()))
    typealias Function = @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UInt32) -> UInt64
    let load: Function = { PebbleMachine.of($0).load($1, Int($3 & MemoryAccessKind.widthMask)) }
    let store: Function = {
      PebbleMachine.of($0).store($1, $2, Int($3 & MemoryAccessKind.widthMask))
      return 0
    }
    let interpret: Function = { base, _, index, _ in
      let machine = PebbleMachine.of(base)
      machine.interpret(machine.code.instructions[Int(index)])
      return 0
    }
    for (callOut, function) in [(CallOut.load, load), (.store, store), (.interpret, interpret)] {
      context.word(ContextLayout.callOuts + callOut.rawValue * 8).pointee = UInt64(
        unsafeBitCast(function, to: UInt.self))
    }
  }

  deinit { memory.deallocate() }

  private static func of(_ base: UnsafeMutableRawPointer) -> PebbleMachine {
    let bits = UInt(Context(base: base).word(ContextLayout.owner).pointee)
    return Unmanaged<PebbleMachine>.fromOpaque(UnsafeRawPointer(bitPattern: bits)!).takeUnretainedValue()
  }

  // MARK: - Call-outs

  private func redirect(_ pc: UInt64) {
    context.programCounter = pc
    context.half(ContextLayout.redirect).pointee = 1
  }

  /// Steps over the instruction at the program counter.
  private func fault() {
    faults.append(context.programCounter)
    redirect(context.programCounter &+ 4)
  }

  private func load(_ address: UInt64, _ width: Int) -> UInt64 {
    guard address <= UInt64(Pebble.memorySize - width) else {
      fault()
      return 0
    }
    for place in [address, address + UInt64(width) - 1] {
      view.fill(table: AddressView.readTable, place, host: memory + Int(place & ~0xFFF))
    }
    return (0..<width).reduce(0) {
      $0 | UInt64(memory.load(fromByteOffset: Int(address) + $1, as: UInt8.self)) << UInt64(8 * $1)
    }
  }

  private func store(_ address: UInt64, _ value: UInt64, _ width: Int) {
    guard address <= UInt64(Pebble.memorySize - width) else { return fault() }
    for place in [address, address + UInt64(width) - 1] {
      let page = Int(place >> 12)
      if holdsCode[page] {
        holdsCode[page] = false
        code.invalidate(page: page) {}
        view.clearJumps()
        context.forgetReturns()
        // Pebble has no instruction for it: what is stored runs at once.
        redirect(context.programCounter &+ 4)
      }
      view.fill(table: AddressView.writeTable, place, host: memory + Int(place & ~0xFFF))
    }
    for byte in 0..<width {
      memory.storeBytes(
        of: UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)), toByteOffset: Int(address) + byte,
        as: UInt8.self)
    }
  }

  private func interpret(_ i: Instruction) {
    systemCount.pointee += 1
    let registers = context.registers
    let value = registers[Int(i.a)]
    switch i.operation {
    case .countOnes: return registers[Int(i.destination)] = UInt64(value.nonzeroBitCount)
    case .floatMoveFromInteger64, .floatMoveToInteger64: return registers[Int(i.destination)] = value
    case .floatAdd64: return registers[Int(i.destination)] = Pebble.sum(value, registers[Int(i.b)])
    case .atomicSwap64: return exchange(i, at: value)
    case .refetch: return refetch()
    default: break
    }
    switch Pebble.Operation(rawValue: i.info) {
    case .mask:
      let status = context.word(PebbleLifter.status)
      registers[Int(i.destination)] = status.pointee
      return status.pointee &= ~8
    case .unmask: return context.word(PebbleLifter.status).pointee |= 8
    case .frame: registers[Int(PebbleLifter.frame)] = value
    case .output: output.append(value)
    case .fault: faults.append(context.programCounter)
    default: didHalt = true
    }
    redirect(context.programCounter &+ 4)
  }

  /// An exchange that generated code did not make: of memory that it does not know yet, or that is not aligned.
  private func exchange(_ i: Instruction, at address: UInt64) {
    let old = load(address, 8)
    guard context.half(ContextLayout.redirect).pointee == 0 else { return }
    store(address, context.registers[Int(i.b)], 8)
    // Where code was stored to, what remains of the instruction is not come back to.
    let isLeft = context.half(ContextLayout.redirect).pointee != 0
    context.registers[Int(i.destination)] = isLeft ? old.byteSwapped : old
  }

  /// Carries out an instruction on two pages whose second one was not known to be what it is.
  private func refetch() {
    let pc = context.programCounter
    guard let word = Pebble.Word(UnsafeRawPointer(memory), Int(pc), end: Pebble.memorySize) else {
      return fault()
    }
    func register(_ number: Int) -> UInt64 { context.registers[Int(PebbleLifter.register(number))] }
    let (target, next) = (pc &+ UInt64(bitPattern: Int64(word.literal)), pc &+ UInt64(word.length))
    let (d, a) = (register(word.d), register(word.a))
    switch word.operation {
    case .literal:
      context.registers[Int(PebbleLifter.register(word.d))] = UInt64(bitPattern: Int64(word.literal))
      redirect(next)
    case .jumpEqual: redirect(d == a ? target : next)
    case .jumpNotEqual: redirect(d != a ? target : next)
    case .jumpLess: redirect(Int64(bitPattern: d) < Int64(bitPattern: a) ? target : next)
    case .call:
      context.registers[Int(PebbleLifter.register(Pebble.link))] = next
      redirect(target)
    default: redirect(target)
    }
  }

  // MARK: - Running

  /// Runs until the program halts, or its budget of system instructions, faults and exits is used up.
  func run() -> PebbleOutcome {
    while !didHalt, budget > 0 {
      budget -= 1
      guard let entry = resolve(context.programCounter) else { continue }
      guard case .site(let site) = code.run(entry, key: key, context: context) else { continue }
      let generation = code.generation
      context.programCounter = code.target(of: site)
      if let found = resolve(context.programCounter) {
        code.link(
          site, to: found, identity: view.pageIdentity(context.programCounter), generation: generation)
      }
    }
    return PebbleOutcome(
      registers: (0..<16).map { context.registers[Int(PebbleLifter.register($0))] },
      frame: context.registers[Int(PebbleLifter.frame)], output: output,
      memory: (0..<Pebble.memorySize).map { memory.load(fromByteOffset: $0, as: UInt8.self) },
      faults: faults, didHalt: didHalt)
  }

  /// Has writers see that there is code on a page.
  private func claim(_ page: Int) {
    guard !holdsCode[page] else { return }
    holdsCode[page] = true
    view.dropWrites(toHostPage: memory + page << 12)
  }

  private func resolve(_ pc: UInt64) -> UnsafeRawPointer? {
    guard pc < UInt64(Pebble.memorySize) else {
      didHalt = true
      return nil
    }
    if let known = view.code(at: pc, key: key) { return known }
    let page = Int(pc >> 12)
    var found = code.find(
      pc: pc, number: page, page: UnsafeRawPointer(memory + page << 12), key: key, lifter: lifter,
      isClaimed: { true })
    var isCrossing = false
    if case .interpret = found,
      let word = Pebble.Word(UnsafeRawPointer(memory), Int(pc), end: Pebble.memorySize)
    {
      isCrossing = true
      found = code.findCrossing(
        pc: pc, instruction: PebbleLifter.instruction(word), number: page, nextNumber: page + 1, key: key,
        mode: 0, isClaimed: { true })
    }
    switch found {
    case .code(let entry, let identity):
      claim(page)
      if isCrossing { claim(page + 1) }
      view.setCode(entry, at: pc, key: key)
      view.setPageIdentity(identity, pc)
      return entry
    case .interpret:
      faults.append(pc)
      context.programCounter = pc + 4
    case .full:
      code.removeAll()
      view.clearCode()
    case .unclaimed, .busy: break
    }
    return nil
  }
}

/// Pebble by its definition, one instruction after the other, without the translator's help.
enum PebbleReference {
  static func run(program: [UInt8], budget: Int) -> PebbleOutcome {
    var memory = program + [UInt8](repeating: 0, count: Pebble.memorySize - program.count)
    var r = [UInt64](repeating: 0, count: 16)
    var frame: UInt64 = 0
    var note: UInt64 = 0
    var status: UInt64 = 0
    var outcome = PebbleOutcome(registers: [], frame: 0, output: [], memory: [], faults: [], didHalt: false)
    var pc: UInt64 = 0
    for _ in 0..<budget {
      guard pc < UInt64(Pebble.memorySize) else {
        outcome.didHalt = true
        break
      }
      let word = memory.withUnsafeBytes { Pebble.Word($0.baseAddress!, Int(pc), end: Pebble.memorySize) }
      guard let word else {
        outcome.faults.append(pc)
        pc += 4
        continue
      }
      var next = pc &+ UInt64(word.length)
      let target = pc &+ UInt64(bitPattern: Int64(word.literal))
      let (a, b, d) = (r[word.a], r[word.b], r[word.d])
      let place = frame &+ a &+ UInt64(bitPattern: Int64(word.short))
      func isInside(_ width: Int) -> Bool {
        if place <= UInt64(Pebble.memorySize - width) { return true }
        outcome.faults.append(pc)
        return false
      }
      func read(_ width: Int) -> UInt64 {
        (0..<width).reduce(0) { $0 << 8 | UInt64(memory[Int(place) + $1]) }
      }
      func write(_ width: Int, _ value: UInt64) {
        for byte in 0..<width {
          memory[Int(place) + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (width - 1 - byte)))
        }
      }
      switch word.operation {
      case .halt: outcome.didHalt = true
      case .nothing: break
      case .literal: r[word.d] = UInt64(bitPattern: Int64(word.literal))
      case .move: r[word.d] = a
      case .add: r[word.d] = a &+ b
      case .subtract: r[word.d] = a &- b
      case .multiply: r[word.d] = a &* b
      case .divide: r[word.d] = b == 0 ? .max : a / b
      case .rest: r[word.d] = b == 0 ? a : a % b
      case .and: r[word.d] = a & b
      case .or: r[word.d] = a | b
      case .exclusiveOr: r[word.d] = a ^ b
      case .not: r[word.d] = ~a
      case .shiftLeft: r[word.d] = a << (b & 63)
      case .shiftRight: r[word.d] = a >> (b & 63)
      case .shiftRightSigned: r[word.d] = UInt64(bitPattern: Int64(bitPattern: a) >> Int64(b & 63))
      case .addShort: r[word.d] = a &+ UInt64(bitPattern: Int64(word.short))
      case .less: r[word.d] = Int64(bitPattern: a) < Int64(bitPattern: b) ? 1 : 0
      case .smaller: r[word.d] = min(a, b)
      case .larger: r[word.d] = max(a, b)
      case .countBits: r[word.d] = UInt64(a.nonzeroBitCount)
      case .swapBytes: r[word.d] = a.byteSwapped
      case .load8: if isInside(1) { r[word.d] = read(1) }
      case .load32:
        if isInside(4) { r[word.d] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: read(4)))) }
      case .load64: if isInside(8) { r[word.d] = read(8) }
      case .store8: if isInside(1) { write(1, d) }
      case .store32: if isInside(4) { write(4, d) }
      case .store64: if isInside(8) { write(8, d) }
      case .exchange:
        if isInside(8) {
          r[word.d] = read(8)
          write(8, b)
        }
      case .barrier: break
      case .addReal: r[word.d] = Pebble.sum(a, b)
      case .note: r[word.d] = note
      case .takeNote: (r[word.d], note) = (note, a)
      case .mask: (r[word.d], status) = (status, status & ~8)
      case .unmask: status |= 8
      case .jumpEqual: if d == a { next = target }
      case .jumpNotEqual: if d != a { next = target }
      case .jumpLess: if Int64(bitPattern: d) < Int64(bitPattern: a) { next = target }
      case .jump: next = target
      case .call:
        r[Pebble.link] = next
        next = target
      case .jumpTo: next = a & ~1
      case .frame: frame = a
      case .output: outcome.output.append(a)
      case .fault: outcome.faults.append(pc)
      }
      pc = next
      if outcome.didHalt { break }
    }
    outcome.registers = r
    outcome.frame = frame
    outcome.memory = memory
    return outcome
  }
}
